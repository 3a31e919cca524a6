// Which of the models in a job's results is which, and how it is called.

import { alphaOf } from "./rows.js";

const MADE = "fine_tuned"; // by training; in a combination's results its input

/**
 * {reference, made, end, others}: what all is held against (null where that was not scored), what the
 * job made, the far end of the line of interpolations, and models that do not lie on that line.
 */
export function modelsOf(job, results) {
  const { models } = results;
  const options = job.method[job.method.type];
  const reference = ["zero_shot", job.theta0].find((name) => models.includes(name)) ?? null;
  // An evaluation makes nothing: the first that it scored is shown.
  const own = [job.method.type, `wise_ft@${short(options.hyperparameters.alpha)}`, MADE].find((name) => models.includes(name));
  const made = own ?? models.find((name) => name !== reference) ?? reference;
  const end = models.includes(MADE) ? MADE : made;
  const isLine = reference === "zero_shot";
  const others = models.filter((name) => name !== reference && (!isLine || (name !== end && alphaOf(name) === null)));
  return { reference, made, end: isLine ? end : null, others };
}

/** As a reader calls it, in the middle of a sentence. */
export function nameOf(model, job) {
  const alpha = alphaOf(model);
  if (model === "zero_shot") return "zero-shot";
  if (alpha !== null) return `alpha ${alpha}`;
  if (model === MADE) return isCombination(job) ? "the fine-tuned input" : "fine-tuned";
  return model;
}

/** The same as a title; ids stay as they are. */
export function titleOf(model, job) {
  const name = nameOf(model, job);
  return name === model ? name : name.charAt(0).toUpperCase() + name.slice(1);
}

/**
 * What to put into a combination to have this line: the job itself, or what it was made of. Null where
 * the line's end is no model of its own, as with `auto`.
 */
export function inputsOf(job, { made, end }) {
  if (end === null) return null;
  if (isCombination(job) && end === MADE) return job.method[job.method.type].inputs;
  return made === end ? [job.id] : null;
}

const isCombination = (job) => job.method[job.method.type].inputs.length > 0;

// As rows have it.
const short = (alpha) => Number(Number(alpha).toPrecision(6));
