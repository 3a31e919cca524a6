// One image and what the models say of it.

import { h, show } from "../../core/dom.js";
import { bytes } from "../../core/format.js";
import { answerOf } from "./answer.js";
import { drawPreview } from "./images.js";

/** {element, wait(), answer(found, models, rate), fail(text)} of a file; `remove()` takes it away. */
export function imageCard(file, remove) {
  const canvas = h("canvas", { class: "preview", role: "img", "aria-label": file.name, width: 1, height: 1 });
  const verdict = h("div");
  const answers = h("div", { class: "answers" });
  const noPreview = h("p", { class: "muted small", hidden: true }, "The browser cannot show this format.");
  const element = h(
    "article",
    { class: "card image-card", "aria-label": file.name },
    h(
      "div",
      { class: "image-side" },
      canvas,
      noPreview,
      h("p", { class: "small" }, file.name, h("br"), h("span", { class: "muted" }, bytes(file.size))),
      h("button", { type: "button", class: "quiet", "aria-label": `Remove ${file.name}`, onclick: remove }, "Remove"),
    ),
    h("div", {}, verdict, answers),
  );
  drawPreview(canvas, file).then((isDrawn) => {
    canvas.hidden = !isDrawn;
    noPreview.hidden = isDrawn;
  });
  return {
    element,
    wait() {
      element.setAttribute("aria-busy", "true");
      show(verdict, h("p", { class: "muted" }, "Asking."));
    },
    answer(found, models, rate) {
      element.setAttribute("aria-busy", "false");
      show(verdict, h("h2", { class: found.label_changed ? "warn" : null }, sentence(found)));
      show(
        answers,
        found.answers.map((answer, place) => answerOf(answer, models.get(answer.model) ?? null, place > 0 ? found.answers[0] : null, rate)),
      );
    },
    fail(text) {
      element.setAttribute("aria-busy", "false");
      show(verdict, text && h("p", { class: "field-error", role: "alert" }, text));
      show(answers);
    },
  };
}

/** What the models say, in words. */
export function sentence(found) {
  const [first, ...others] = found.answers;
  if (!others.length) return `${first.model} says ${first.label}.`;
  if (!found.label_changed) return `${others.length === 1 ? "Both" : "All"} say ${first.label}.`;
  if (others.length === 1) return `The label changed: ${first.label} became ${others[0].label}.`;
  const labels = new Map();
  for (const answer of found.answers) labels.set(answer.label, [...(labels.get(answer.label) ?? []), answer.model]);
  return `The models disagree: ${[...labels].map(([label, models]) => `${label} (${models.join(", ")})`).join("; ")}.`;
}
