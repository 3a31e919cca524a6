// What the project used in a month, key by key, beside what it may.

import { get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { bytes, count, duration } from "../../core/format.js";
import { read, write } from "../../core/urlstate.js";
import { table } from "../table.js";

const NUMBERS = [
  ["requests", "Requests", count, null],
  ["jobs", "Jobs made", count, null],
  ["device_seconds", "Device time", duration, "device_seconds_per_month"],
  ["stored_bytes", "Stored now", bytes, "stored_bytes"],
];

export function usageTab() {
  const totals = h("div");
  const month = h("input", { id: "month", type: "month", value: read("month", "") });
  const found = table({
    caption: "Usage by key",
    name: "usage-",
    empty: "Nothing was used in that month.",
    columns: [
      { key: "key", title: "Key", sort: (row) => row.key, cell: (row) => h("span", { class: "code" }, row.key ?? "before keys were noted") },
      ...NUMBERS.map(([name, title, format]) => ({ key: name, title, number: true, sort: (row) => row[name], cell: (row) => format(row[name]) })),
    ],
  });
  month.addEventListener("change", () => (write({ month: month.value }), refresh()));

  async function refresh() {
    const usage = await get(`/v1/usage${month.value ? `?month=${month.value}` : ""}`);
    show(
      totals,
      h("h2", {}, usage.month),
      h(
        "dl",
        { class: "facts" },
        NUMBERS.map(([name, title, format, limit]) => {
          const most = limit && usage.limits[limit];
          return [h("dt", {}, title), h("dd", {}, format(usage[name]), most && [` of ${format(most)} `, h("meter", { min: "0", max: "1", value: String(Math.min(1, usage[name] / most)), "aria-label": `${title}, of what is allowed` })])];
        }),
      ),
    );
    found.update(usage.keys);
  }

  return { element: h("div", {}, h("div", { class: "filters" }, h("div", {}, h("label", { for: "month" }, "Month (UTC)"), month)), h("section", { class: "card" }, totals), found.element), refresh };
}
