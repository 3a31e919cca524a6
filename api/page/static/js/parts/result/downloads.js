// What the job left: its files and the model's weights, in three libraries' formats.

import { get } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { bytes } from "../../core/format.js";

const WHAT = {
  "results.json": "the table and everything that says how to read it",
  "predictions.parquet": "every image's answers",
  "metrics.csv": "step metrics",
  "model.tar": "the weights",
  "corruptions.png": "what built-in shifts look like",
};

export async function downloads(job) {
  const files = await Promise.all(job.result_files.map((id) => get(`/v1/files/${id}`)));
  const weights = job.fine_tuned_model && `/v1/models/${job.fine_tuned_model}/weights`;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Downloads"),
    h("ul", {}, files.map((file) => h("li", {}, h("a", { href: `/v1/files/${file.id}/content`, download: file.filename }, file.filename), ` ${bytes(file.bytes)}`, WHAT[file.filename] && h("span", { class: "muted" }, `, ${WHAT[file.filename]}`)))),
    weights &&
      h(
        "p",
        {},
        "The model for ",
        [["open_clip", "open_clip"], ["transformers", "transformers"], ["ONNX Runtime", "onnx"]].map(([name, format], at) => [at > 0 && ", ", h("a", { href: `${weights}?format=${format}`, download: "" }, name)]),
        ". The last two are converted when they are first asked for.",
      ),
  );
}
