// Limits of a key or a project as a form in a dialog.

import { ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { failure } from "../../core/start.js";

const OF_ALL = [
  ["requests_per_minute", "Requests a minute"],
  ["concurrent_jobs", "Jobs that have not ended"],
  ["stored_bytes", "Stored bytes"],
  ["device_seconds_per_month", "Device seconds a month"],
];
const OF_PROJECTS = [...OF_ALL, ["running_jobs", "Jobs that run at once"]];

/** What is limited, in a few words. */
export function limitsSaid(limits) {
  const set = OF_PROJECTS.filter(([name]) => limits[name] !== null && limits[name] !== undefined);
  return set.length ? set.map(([name, title]) => `${title.toLowerCase()}: ${limits[name].toLocaleString("en")}`).join(", ") : "none";
}

/** Asks for limits and sends them to `path`; resolves when the dialog is closed. */
export function editLimits(path, limits, { ofProject = false, title }) {
  return new Promise((resolve) => {
    const wrong = h("div", { "aria-live": "polite" });
    const fields = (ofProject ? OF_PROJECTS : OF_ALL).map(([name, label]) => [name, label, h("input", { id: `limit-${name}`, inputmode: "numeric", value: limits[name] ?? "", placeholder: "no limit" })]);
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "limits-title" }, title),
      fields.map(([, label, input]) => [h("label", { for: input.id }, label), input]),
      wrong,
      h("div", { class: "actions" }, h("button", { type: "submit" }, "Set the limits"), h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Leave them")),
    );
    const dialog = h("dialog", { "aria-labelledby": "limits-title" }, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const wanted = Object.fromEntries(fields.filter(([, , input]) => input.value.trim() !== "").map(([name, , input]) => [name, number(input.value.trim())]));
      try {
        await ask("PUT", path, { json: wanted });
        dialog.close();
      } catch (error) {
        show(wrong, failure(error));
      }
    });
    dialog.addEventListener("close", () => (dialog.remove(), resolve()));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// What is no number goes out as it is: the service says so in its own words.
const number = (text) => (/^\d+$/.test(text) ? Number(text) : text);
