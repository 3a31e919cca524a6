// Why a job failed: whose fault it is, and what to do about it.

import { h } from "../../core/dom.js";

const WHOSE = {
  invalid_dataset: ["Your data set", "Mend what is named and upload it again; the data set's own page lists every file that is wrong."],
  invalid_spec: ["The request", "Run it again with changes."],
  out_of_memory: ["The machine's memory", "Not even one image fits: take a smaller base, or ask the operator for a worker with more memory."],
  loss_not_finite: ["The recipe", "The loss was no number any more: a lower learning rate or a warm-up mostly helps. Run it again with changes."],
  worker_lost: ["The service", "The worker that had the job went away, more often than the service tries again. Try it again; if it happens twice, tell the operator."],
  timeout: ["The service", "The job made no progress for too long. Try it again; if it happens twice, tell the operator."],
  storage_error: ["The service", "Its store could not be read or written. Try it again once the operator has mended that."],
  internal: ["The service", "This is a fault of the service: tell the operator the job's id. It can be tried again."],
};
const REPEATING = ["invalid_dataset", "invalid_spec", "loss_not_finite"];

/** Whether the job would fail again in the same place. */
export const repeats = (job) => REPEATING.includes(job.status_reason);

/** A box for a failed job; null for any other. */
export function failureOf(job) {
  if (job.status !== "failed") return null;
  const [whose, advice] = WHOSE[job.status_reason] ?? ["The service", "Tell the operator the job's id."];
  return h(
    "section",
    { class: "error", role: "alert" },
    h("h2", {}, `It failed. ${whose} is the cause.`),
    h("p", {}, job.error?.message ?? ""),
    h("p", {}, advice, " ", job.status_reason === "invalid_dataset" && h("a", { href: `/datasets?file=${job.training_file}` }, "See the data set")),
    h("p", { class: "muted code" }, [job.status_reason, job.error?.code, job.error?.param].filter((each, at, all) => each && all.indexOf(each) === at).join(" · ")),
  );
}
