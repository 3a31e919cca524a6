// What a job said: its events, and what its trainers printed.

import { ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { moment } from "../../core/format.js";
import { failure } from "../../core/start.js";

const SHOWN = 200_000; // characters of the printed log

/** {element, event(event)}: the newest at the end, and in sight while nobody scrolled away. */
export function eventLog() {
  const lines = h("div");
  const box = h("div", { class: "log", role: "log", tabindex: "0", "aria-label": "What happened" }, lines);
  return {
    element: box,
    event(event) {
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 30;
      lines.append(h("div", { class: event.level === "error" ? "bad" : event.level === "warn" ? "warn" : null }, h("span", { class: "muted" }, `${moment(event.created_at)} `), event.level !== "info" && `${event.level}: `, event.message));
      if (atEnd) box.scrollTop = box.scrollHeight;
    },
  };
}

/** What the trainers printed, fetched when it is opened. */
export function printedLog(jobId) {
  const box = h("div");
  const path = `/v1/fine_tuning/jobs/${jobId}/logs`;
  const element = h("details", {}, h("summary", {}, "What the trainers printed"), box);
  const load = async () => {
    try {
      const text = await (await ask("GET", path, { raw: true })).text();
      const kept = text.slice(-SHOWN);
      show(
        box,
        h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: load }, "Read again"), h("a", { class: "button quiet", href: path, download: "" }, "Download")),
        text.length > kept.length && h("p", { class: "muted small" }, "The end of it; the download has all."),
        h("div", { class: "log", tabindex: "0", role: "region", "aria-label": "Printed log" }, kept || "Nothing was printed."),
      );
    } catch (error) {
      show(box, failure(error));
    }
  };
  element.addEventListener("toggle", () => element.open && load());
  return element;
}
