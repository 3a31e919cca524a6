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

const TRIES = 5; // of a service that does not have it in time
const PAUSE = 5; // seconds between them, where the service names none

export function downloads(model) {
  const wrong = h("div", { "aria-live": "polite" });
  const line = ([format, title, what]) => {
    const href = `/v1/models/${encodeURIComponent(model.id)}/weights?format=${format}`;
    const said = h("span", { class: "muted" });
    const link = h("a", { href, download: "" }, title);
    let [isThere, isAsked] = [format === "open_clip", false];
    link.addEventListener("click", async (event) => {
      if (isThere) return;
      event.preventDefault();
      if (isAsked) return;
      isAsked = true;
      show(said, " · being made");
      isThere = await attempt(() => making(href), { wrong });
      isAsked = false;
      show(said);
      if (isThere) link.click();
    });
    return h("li", {}, link, h("span", { class: "muted" }, `: ${what}`), said);
  };
  return h("section", { class: "card" }, h("h2", {}, "Download"), h("ul", {}, FORMATS.map(line)), wrong);
}

// Resolves once it is there. Only its first byte is asked for: the browser downloads it afterwards.
async function making(href) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask("GET", href, { headers: { range: "bytes=0-0" }, raw: true });
    } catch (error) {
      if (error.status !== 503 || tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter ?? PAUSE)));
    }
  }
}
