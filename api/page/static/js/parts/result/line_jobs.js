// Jobs that score or keep points of the line between zero-shot and a job's model (WiSE-FT): asked for,
// found again after a reload, and followed to their end.

import { ask, get } from "../../core/api.js";
import { poll } from "../../core/poll.js";
import { ENDED } from "../status.js";

const MARK = "line_of"; // in a job's metadata: whose line it is about
const RECENT = 100; // jobs among which those are looked for that were asked for elsewhere
const EVERY = 1000; // milliseconds
const JOBS = "/v1/fine_tuning/jobs";

/** Makes such a job of these inputs; everything else is as with `job`. */
export async function askForLine(job, inputs, hyperparameters) {
  const spec = await get(`${JOBS}/${job.id}/spec`);
  const { alphas, ...evaluation } = spec.evaluation ?? {}; // interpolations of a training job
  const request = {
    model: job.theta0,
    training_file: job.training_file,
    method: { type: "wise_ft", wise_ft: { inputs, hyperparameters: { fisher: isFisher(job), ...hyperparameters } } },
    evaluation,
    metadata: { [MARK]: job.id },
  };
  if (job.validation_file) request.validation_file = job.validation_file;
  return ask("POST", JOBS, { json: request });
}

/** Those that are about this job's line, newest first, without their results. */
export async function lineJobs(job) {
  const [marked, recent] = await Promise.all([get(`${JOBS}?limit=${RECENT}&metadata[${MARK}]=${job.id}`), get(`${JOBS}?limit=${RECENT}`)]);
  const all = [...marked.data, ...recent.data.filter((each) => each.method.type === "wise_ft" && isAbout(each, job))];
  const found = new Map(all.filter((each) => isFisher(each) === isFisher(job)).map((each) => [each.id, each]));
  found.delete(job.id);
  return [...found.values()].toSorted((a, b) => b.created_at - a.created_at);
}

/** Calls `ended(job)` once the job has an end; `trouble` is told of faults, and null once they are over. */
export function untilEnded(jobId, ended, trouble) {
  return poll(
    async () => {
      const job = await get(`${JOBS}/${jobId}`);
      if (!ENDED.includes(job.status)) return true;
      await ended(job);
      return false;
    },
    EVERY,
    trouble,
  );
}

// Weighed by Fisher information the line is another one.
const isFisher = (job) => job.method.wise_ft?.hyperparameters.fisher ?? false;

// Made of the same model, or of this job's.
function isAbout(other, job) {
  const { inputs } = other.method.wise_ft;
  const own = job.method[job.method.type].inputs;
  return own.length ? String(inputs) === String(own) : inputs.length === job.n_seeds && inputs[0] === job.fine_tuned_model;
}
