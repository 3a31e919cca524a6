// The model in a few lines of what people use already.

import { h } from "../../core/dom.js";
import { copyButton } from "../copy.js";

export function snippets(model, job) {
  const base = location.origin;
  const all = [
    [
      "curl",
      `curl ${base}/v1/models/${model}/image-classification \\
  -H "Authorization: Bearer $LIPSUM_API_KEY" \\
  -H "Content-Type: image/jpeg" --data-binary @photo.jpg`,
    ],
    [
      "huggingface_hub",
      `from huggingface_hub import InferenceClient

client = InferenceClient(model="${base}/v1/models/${model}", token=API_KEY)
client.image_classification("photo.jpg")`,
    ],
    [
      "openai",
      `from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key=API_KEY)
job = client.fine_tuning.jobs.retrieve("${job.id}")
for file in job.result_files:
    client.files.content(file).write_to_file(client.files.retrieve(file).filename)`,
    ],
    [
      "open_clip",
      `# after unpacking the weights into ./model
import open_clip

clip, _, preprocess = open_clip.create_model_and_transforms("local-dir:model")
# head.safetensors beside it holds the classes' weights; README.md has the five lines that use it`,
    ],
  ];
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Use it"),
    all.map(([name, text], at) => h("details", { open: at === 0 }, h("summary", {}, name), h("pre", { tabindex: "0" }, text), copyButton(text, `the ${name} lines`))),
  );
}
