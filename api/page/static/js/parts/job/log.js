// What happened to a job: its events, the newest at the end, and in sight while nobody scrolled away.

import { h } from "../../core/dom.js";
import { moment } from "../../core/format.js";

const LOOK = { error: "bad", warn: "warn" };
const NEAR = 30; // pixels from the end that still count as being there

/** {element, event(event)}. */
export function eventLog() {
  const lines = h("div");
  const box = h("div", { class: "log", role: "log", tabindex: "0", "aria-label": "What happened" }, lines);
  return {
    element: box,
    event(event) {
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
      lines.append(h("div", { class: LOOK[event.level] }, h("span", { class: "muted" }, `${moment(event.created_at)} `), event.level !== "info" && `${event.level}: `, event.message));
      if (atEnd) box.scrollTop = box.scrollHeight;
    },
  };
}
