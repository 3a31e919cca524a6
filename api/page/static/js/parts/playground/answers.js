// What several models say of one image, side by side, in numbers and in words.

import { h } from "../../core/dom.js";
import { number, percent } from "../../core/format.js";

const SHOWN = 5;

export function answers(image, rate) {
  return h(
    "div",
    {},
    h("p", {}, h("strong", { class: image.label_changed ? "warn" : "good" }, image.label_changed ? "The models disagree." : "The models agree."), " ", shifted(image, rate)),
    h("div", { class: "answers" }, image.answers.map((answer) => one(answer))),
  );
}

function one(answer) {
  return h(
    "section",
    { class: "answer" },
    h("h3", { class: "code" }, answer.model),
    h("p", {}, h("strong", {}, answer.label), ` ${percent(answer.score)}`, answer.confidence !== null && h("span", { class: "muted" }, `, calibrated ${percent(answer.confidence)}`)),
    h(
      "ol",
      { class: "bars" },
      answer.scores.slice(0, SHOWN).map(({ label, score }) => h("li", {}, h("span", { class: "bar-label" }, label), h("meter", { min: "0", max: "1", value: String(score), "aria-label": label }), h("span", { class: "number" }, percent(score)))),
    ),
    answer.member_weights && h("p", { class: "muted small" }, "A mixture, for this image of ", Object.entries(answer.member_weights).map(([name, weight], at) => [at > 0 && ", ", `${name} ${percent(weight, 0)}`]), "."),
    answer.shift && h("p", { class: answer.shift.shifted ? "warn small" : "muted small" }, `${answer.shift.shifted ? "Unlike" : "Like"} its training images: p = ${number(answer.shift.p, 2)}, distance ${number(answer.shift.distance, 3)}, energy ${number(answer.shift.energy, 3)}.`),
  );
}

function shifted(image, rate) {
  if (image.shifted === null) return "None of them can tell whether the image is shifted.";
  if (image.shifted) return h("span", { class: "warn" }, `The image looks unlike what a model was trained on; of training-like images at most ${percent(rate, 0)} are flagged so.`);
  return `The image looks like the training domain (false-alarm rate ${percent(rate, 0)}).`;
}
