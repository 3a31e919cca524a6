// What can be done with a job as it stands.

import { ask } from "../../core/api.js";
import { announce, h } from "../../core/dom.js";
import { may } from "../../core/start.js";
import { attempt } from "../attempt.js";
import { showSteadily } from "../steady.js";
import { repeats } from "./failure.js";

const HELD = ["running", "queued", "validating_files"];

/** Buttons that follow the job. `changed(job)` is told what the service answered. */
export function actions(session, changed) {
  const element = h("div", { class: "actions" });
  const wrong = h("div", { "aria-live": "polite" });
  let isAsking = false;

  const button = (job, text, verb, body, kind = "quiet") =>
    h("button", { type: "button", class: kind, onclick: (event) => run(event.target, job, text, verb, body) }, text);

  async function run(pressed, job, text, verb, body) {
    let found;
    isAsking = true;
    const isDone = await attempt(async () => (found = await ask("POST", `/v1/fine_tuning/jobs/${job.id}/${verb}`, { json: body })), { wrong, button: pressed });
    isAsking = false;
    if (!isDone) return;
    announce(`${text}: done`);
    changed(found);
    // The button that was pressed is gone; the keyboard goes on with what is there instead.
    if (document.activeElement === document.body) element.querySelector("a, button")?.focus();
  }

  return {
    element: h("div", {}, element, wrong),
    update(job) {
      if (isAsking) return;
      const stopping = job.status === "cancelling" || job.stop_for !== null;
      showSteadily(
        element,
        job.status === "succeeded" && h("a", { class: "button", href: `/jobs/${job.id}/result` }, "See the result"),
        may(session, "jobs:write") && [
          HELD.includes(job.status) && !stopping && button(job, "Pause", "pause"),
          job.status === "running" && job.stop_for === "pause" && button(job, "Go on after all", "resume"),
          job.status === "paused" && button(job, "Resume", "resume", undefined, ""),
          job.status === "failed" && !repeats(job) && button(job, "Try again", "retry", undefined, ""),
          job.status === "running" && !stopping && button(job, "Stop and keep the last checkpoint", "cancel", { keep_checkpoint: true }),
          (HELD.includes(job.status) || job.status === "paused") && !stopping && button(job, "Cancel", "cancel", undefined, "danger"),
          job.method.type !== "compare" && h("a", { class: "button quiet", href: `/jobs/new?from=${job.id}` }, "Run again with changes"),
        ],
        stopping && h("span", { class: "muted" }, job.stop_for === "pause" ? "It is being paused." : "It is being stopped."),
      );
    },
  };
}
