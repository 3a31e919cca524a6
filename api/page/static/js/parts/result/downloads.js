// What the job left: its files and its models' weights, in three libraries' formats.

import { ApiError, all, get } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { bytes } from "../../core/format.js";

const WHAT = {
  "results.json": "the table and everything that says how to read it",
  "predictions.parquet": "every image's answers",
  "metrics.csv": "step metrics",
  "model.tar": "the weights",
  "corruptions.png": "what built-in shifts look like",
};
const FORMATS = [["open_clip", "open_clip"], ["transformers", "transformers"], ["ONNX Runtime", "onnx"]];
const MODELS = 1000;

export async function downloads(job) {
  const [files, models] = await Promise.all([Promise.all(job.result_files.map((id) => get(`/v1/files/${id}`))), modelsOf(job)]);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Downloads"),
    h("ul", {}, files.map((file) => h("li", {}, h("a", { href: `/v1/files/${file.id}/content`, download: file.filename }, file.filename), ` ${bytes(file.bytes)}`, WHAT[file.filename] && h("span", { class: "muted" }, `, ${WHAT[file.filename]}`)))),
    models.map(weights),
    models.length === 0 && job.fine_tuned_model && h("p", {}, "The model was deleted."),
    models.length > 0 && h("p", { class: "muted small" }, "For transformers and ONNX Runtime weights are converted when they are first asked for."),
  );
}

function weights({ id, seed, mixture }) {
  const path = `/v1/models/${encodeURIComponent(id)}/weights`;
  const formats = mixture ? FORMATS.slice(0, 1) : FORMATS;
  return h(
    "p",
    {},
    `The model${seed === null ? "" : ` of seed ${seed}`}, `,
    h("span", { class: "code" }, id),
    ", for ",
    formats.map(([name, format], at) => [at > 0 && ", ", h("a", { href: `${path}?format=${format}`, download: "" }, name)]),
  );
}

// A job of several seeds made as many.
async function modelsOf(job) {
  if (!job.fine_tuned_model) return [];
  if (job.n_seeds > 1) return (await all("/v1/models", MODELS)).filter((model) => model.job_id === job.id && model.kind === "fine_tuned").toSorted((a, b) => a.seed - b.seed);
  try {
    return [{ ...(await get(`/v1/models/${encodeURIComponent(job.fine_tuned_model)}`)), seed: null }];
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}
