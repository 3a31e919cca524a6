// What a month took: all keys together beside their limits, and each key alone.

import { all, get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { bytes, count, duration, percent } from "../../core/format.js";
import { may } from "../../core/start.js";
import { read, write } from "../../core/urlstate.js";
import { attempt } from "../attempt.js";
import { field, select } from "../fields.js";
import { table } from "../table.js";
import { withBar } from "./bars.js";

const MONTHS = 12; // to choose from
const MANY = 1000;
const FIGURES = [
  ["requests", "Requests", count, null],
  ["jobs", "Jobs made", count, null],
  ["device_seconds", "Time that jobs ran", duration, "device_seconds_per_month"],
  ["stored_bytes", "Stored now", bytes, "stored_bytes"],
];

export async function usage(view, session, project) {
  const [totals, wrong] = [h("dl", { class: "figures usage" }), h("div", { "aria-live": "polite" })];
  const month = select("month", monthsBefore(new Date(), MONTHS), read("month", ""), () => ask());
  const names = may(session, "keys") ? await namesOfKeys(project) : new Map();
  let found = null;

  const list = table({
    caption: "Usage by key",
    name: "use-",
    empty: "Nothing was used in this month.",
    columns: [
      {
        key: "key",
        title: "Key",
        sort: (row) => nameOf(row),
        cell: (row) => [nameOf(row), row.key && names.has(row.key) && h("div", { class: "muted code" }, row.key)],
      },
      ...FIGURES.map(
        ([name, title, format]) => ({
          key: name,
          title,
          number: true,
          sort: (row) => row[name],
          cell: (row) => withBar(format(row[name]), row[name] / Math.max(...found.keys.map((each) => each[name]))),
        }),
      ),
    ],
  });
  const nameOf = (row) => (row.key === null ? "before keys were noted" : (names.get(row.key) ?? row.key));

  async function ask() {
    write({ month: month.value === month.options[0].value ? null : month.value });
    const query = new URLSearchParams({ month: month.value, ...(project && { project }) });
    await attempt(async () => {
      found = await get(`/v1/usage?${query}`);
      show(totals, FIGURES.map((figure) => total(found, figure)));
      list.update(found.keys);
    }, { wrong });
  }

  show(
    view,
    h("div", { class: "filters" }, field("Month (UTC)", month)),
    wrong,
    h("section", { class: "card" }, h("h2", {}, "All keys together"), totals),
    list.element,
    h(
      "p",
      { class: "muted small" },
      "Bars compare keys with the one that used most. The service counts by month; equal content of several keys is counted once in the sum.",
    ),
  );
  await ask();
}

function total(found, [name, title, format, limit]) {
  const most = limit && found.limits[limit];
  const share = most ? found[name] / most : null;
  const text = most === null || most === undefined ? format(found[name]) : `${format(found[name])} of ${format(most)}${share === null ? "" : ` (${percent(share, 0)})`}`;
  return h("div", {}, h("dt", {}, title), h("dd", {}, share === null ? text : withBar(text, share)));
}

// The newest first, as the API names them.
function monthsBefore(now, many) {
  return Array.from({ length: many }, (_, back) => {
    const name = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)).toISOString().slice(0, 7);
    return [name, back === 0 ? `${name}, so far` : name];
  });
}

async function namesOfKeys(project) {
  const path = project ? `/v1/keys?project=${encodeURIComponent(project)}` : "/v1/keys";
  return new Map((await all(path, MANY)).map((key) => [key.id, key.name]));
}
