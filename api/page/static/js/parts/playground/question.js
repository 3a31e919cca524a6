// What is asked of the images: which models, which labels, how easily an image counts as shifted. It is
// in the URL, and becomes the body of POST /v1/classify.

import { read, write } from "../../core/urlstate.js";
import { parsed } from "../new_job/request.js";

const TOP = 5; // labels of each model

/** What the URL asks. Texts are as they are typed. */
export function fromUrl() {
  return {
    models: (read("models") ?? "").split(",").filter(Boolean),
    labels: read("labels", ""),
    templates: read("templates", ""),
    rate: read("rate", ""),
  };
}

export function toUrl(question) {
  write({ models: question.models.join(","), labels: question.labels, templates: question.templates, rate: question.rate });
}

/** The body, but for the images. Leaves out what the service has a default for. */
export function toRequest(question) {
  const parameters = { top_k: TOP };
  const labels = lines(question.labels);
  const templates = lines(question.templates);
  if (labels.length) parameters.candidate_labels = labels;
  if (labels.length && templates.length) parameters.templates = templates;
  if (question.rate.trim() !== "") parameters.false_alarm_rate = parsed(question.rate.trim());
  return { models: question.models.filter(Boolean), parameters };
}

/** Of a text, those that say anything. */
export const lines = (text) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
