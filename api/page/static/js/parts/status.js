// How a job stands, in a word and a colour; never in a colour alone.

import { h } from "../core/dom.js";

const LOOK = {
  succeeded: "good",
  failed: "bad",
  cancelled: "muted",
  cancelling: "warn",
  paused: "warn",
  running: "",
  queued: "muted",
  validating_files: "muted",
};

/** Statuses that a job does not leave. */
export const ENDED = ["succeeded", "failed", "cancelled"];

export function statusBadge(status) {
  return h("span", { class: `badge ${LOOK[status] ?? ""}` }, status.replaceAll("_", " "));
}
