// One model's answer to one image.

import { h } from "../../core/dom.js";
import { number, percent } from "../../core/format.js";

const KINDS = { base: "zero-shot", fine_tuned: "fine-tuned", checkpoint: "checkpoint" };

/**
 * `model` is the API's object, or null where it cannot be looked up; `first` is the answer of the
 * model that this one is set beside, or null; `rate` of false alarms.
 */
export function answerOf(answer, model, first, rate) {
  const isChanged = first !== null && first.label !== answer.label;
  return h(
    "div",
    { class: "answer", role: "group", "aria-label": answer.model },
    h(
      "h3",
      {},
      answer.model,
      " ",
      model && h("span", { class: "muted small" }, `${KINDS[model.kind] ?? model.kind}${model.method ? `, ${model.method}` : ""}`),
    ),
    h(
      "p",
      { class: "answer-label" },
      h("strong", {}, answer.label),
      " ",
      isChanged && h("span", { class: "badge warn" }, `changed from ${first.label}`),
    ),
    bars(answer),
    h("p", { class: "small" }, confidence(answer)),
    answer.member_weights && weights(answer.member_weights),
    shift(answer.shift, model, rate),
  );
}

function bars(answer) {
  return h(
    "ol",
    { class: "bars", "aria-label": `Best labels of ${answer.model}` },
    answer.scores.map((each) =>
      h(
        "li",
        {},
        h("span", { class: "bar-label" }, each.label),
        h("span", { class: "number" }, percent(each.score)),
        h("span", { class: "bar", "aria-hidden": "true" }, h("span", { style: { width: `${100 * each.score}%` } })),
      ),
    ),
  );
}

function confidence(answer) {
  if (answer.confidence === null) return "Confidence: not calibrated for these labels.";
  return `Calibrated confidence in ${answer.label}: ${percent(answer.confidence)}.`;
}

function weights(members) {
  const sorted = Object.entries(members).toSorted((a, b) => b[1] - a[1]);
  return h(
    "p",
    { class: "small" },
    "How much each member counted for this image: ",
    sorted.map(([name, weight], at) => [at > 0 && "; ", name, " ", percent(weight)]),
    ".",
  );
}

// The flag in plain words: what it saw, and how often it is wrong about ordinary images.
function shift(flag, model, rate) {
  if (flag === null) {
    if (model?.kind === "base") return h(
      "p",
      { class: "muted small" },
      "A base remembers no training images: it cannot tell whether this one is unlike them.",
    );
    return h("p", { class: "muted small" }, "This model cannot tell whether the image is unlike its training images.");
  }
  const measured = `Of its own validation images ${percent(flag.p)} look at least as unusual (p = ${Number(flag.p.toPrecision(2))}); up to ${number(100 * rate)} % of ordinary images are flagged by mistake.`;
  return h(
    "div",
    { class: flag.shifted ? "notice shift" : "shift" },
    h(
      "p",
      {},
      h("span", { class: `badge ${flag.shifted ? "warn" : "good"}` }, flag.shifted ? "shifted" : "not shifted"),
      flag.shifted ? " The image looks unlike what the model was trained on: trust the answer less." : " The image looks like what the model was trained on.",
    ),
    h(
      "p",
      { class: "muted small" },
      measured,
      model?.job_id && [
        " ",
        h("a", { href: `/jobs/${encodeURIComponent(model.job_id)}/result?metric=shift_flagged` }, "What it flags of other splits"),
      ],
    ),
  );
}
