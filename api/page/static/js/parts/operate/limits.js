// What a key or a project may use: said in a line, and changed in a dialog.

import { ask } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { bytes, count, duration } from "../../core/format.js";
import { dialog } from "../dialog.js";
import { field } from "../fields.js";
import { parsed } from "../new_job/request.js";

const LIMITS = [
  ["requests_per_minute", "Requests in a minute", (value) => `${count(value)} requests/min`, "And at most at once."],
  ["concurrent_jobs", "Jobs that have not ended", (value) => `${count(value)} jobs at a time`, "Waiting ones included."],
  ["stored_bytes", "Stored bytes", (value) => `${bytes(value)} stored`, "Of files and models, equal content once."],
  ["device_seconds_per_month", "Device seconds in a month", (value) => `${duration(value)} of running a month`, "Calendar months of UTC."],
  ["running_jobs", "Jobs that workers hold at once", (value) => `${count(value)} jobs running`, "Others wait."],
];

/** The limits in words. */
export function limitsInWords(limits) {
  const set = LIMITS.filter(([name]) => limits[name] !== null && limits[name] !== undefined);
  if (!set.length) return h("span", { class: "muted" }, "none");
  return set.map(([name, , words]) => h("div", {}, words(limits[name])));
}

/** Asks for new ones and sets them; true once they are. `owner` is a key or a project. */
export function changeLimits(owner, path) {
  const inputs = new Map();
  const fields = LIMITS.filter(([name]) => name in owner.limits).map(([name, title, , help]) => {
    const input = h(
      "input",
      {
        id: `limit-${name}`,
        inputmode: "numeric",
        autocomplete: "off",
        placeholder: "no limit",
        value: owner.limits[name] === null ? "" : String(owner.limits[name]),
      },
    );
    inputs.set(name, input);
    return field(title, input, { param: name, help });
  });
  return dialog({
    title: `Limits of ${owner.name}`,
    content: [
      h(
        "p",
        { class: "muted small" },
        "What is left empty is not limited. Limits are asked when something is begun, and stop nothing that runs.",
      ),
      fields,
    ],
    action: "Set limits",
    work: () => {
      const json = {};
      for (const [name, input] of inputs) if (input.value.trim() !== "") json[name] = parsed(input.value.trim());
      return ask("PUT", path, { json });
    },
  });
}
