// The weights in three libraries' formats. Two of them are made when they are first asked for, and
// some models have no place in one: that is said here rather than found in a file.

import { ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { attempt } from "../attempt.js";

const FORMATS = [
  ["open_clip", "open_clip", "weights, configuration, head, classes, and the model card"],
  ["transformers", "transformers", "a directory for CLIPModel.from_pretrained, with tokenizer and image processor"],
  ["onnx", "ONNX Runtime", "one graph from pixels to probabilities, with its head in it"],
];

export function downloads(model) {
  const wrong = h("div", { "aria-live": "polite" });
  const line = ([format, title, what]) => {
    const href = `/v1/models/${encodeURIComponent(model.id)}/weights?format=${format}`;
    const said = h("span", { class: "muted" });
    const link = h("a", { href, download: "" }, title);
    let isThere = format === "open_clip";
    link.addEventListener("click", async (event) => {
      if (isThere) return;
      event.preventDefault();
      show(said, " · being made");
      isThere = await attempt(() => ask("GET", href, { headers: { range: "bytes=0-0" }, raw: true }), { wrong });
      show(said);
      if (isThere) link.click();
    });
    return h("li", {}, link, h("span", { class: "muted" }, `: ${what}`), said);
  };
  return h("section", { class: "card" }, h("h2", {}, "Download"), h("ul", {}, FORMATS.map(line)), wrong);
}
