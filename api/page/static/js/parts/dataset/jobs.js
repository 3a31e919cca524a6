// The newest jobs that a data set went into.

import { h } from "../../core/dom.js";
import { ago, count } from "../../core/format.js";
import { statusBadge } from "../status.js";

const SHOWN = 10;

/** Of these jobs, those that train on it or are scored on it. */
export const usesOf = (dataset, jobs) => jobs.filter((job) => filesOf(job).some((file) => dataset.files.includes(file)));

export function jobsWith(uses) {
  if (!uses.length) return h("p", { class: "muted" }, "None among the newest.");
  const more = uses.length - SHOWN;
  return h(
    "ul",
    { class: "uses" },
    uses.slice(0, SHOWN).map((job) => {
      const what = h("span", { class: "muted" }, `${job.method.type} on ${job.model}, ${ago(job.created_at)}`);
      return h("li", {}, h("a", { href: `/jobs/${job.id}` }, job.suffix ?? job.id), " ", statusBadge(job.status), " ", what);
    }),
    more > 0 && h("li", {}, `and ${count(more)} older`),
  );
}

const filesOf = (job) => [job.training_file, job.validation_file, ...(job.evaluation?.splits ?? []).map((split) => split.file)];
