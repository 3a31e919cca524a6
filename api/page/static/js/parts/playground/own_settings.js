// What may be asked otherwise than usual: labels of one's own, their templates, and the shift flag.

import { h } from "../../core/dom.js";
import { field } from "../fields.js";

/**
 * {element, typed()} of a question's texts; `change(values)` is told what one became. Open from the
 * start where something is set, or where the question `needsLabels`.
 */
export function ownSettings(question, needsLabels, change) {
  const common = { autocomplete: "off", spellcheck: "false" };
  const labels = h("textarea", { ...common, id: "labels", rows: "4", placeholder: "sailboat\nferry", value: question.labels });
  const templates = h("textarea", { ...common, id: "templates", rows: "2", placeholder: "This is a photo of {}.", value: question.templates });
  const rate = h("input", { ...common, id: "rate", inputmode: "decimal", placeholder: "0.05", value: question.rate });
  const fields = { labels, templates, rate };
  for (const [name, input] of Object.entries(fields)) input.addEventListener("change", () => change({ [name]: input.value }));

  const isSet = Object.keys(fields).some((name) => question[name] !== "");
  const element = h(
    "details",
    { open: isSet || needsLabels },
    h("summary", {}, "Own labels and the shift flag"),
    field("Own labels, one per line", labels, {
      param: "parameters.candidate_labels",
      help: "Without any, the classes that the fine-tuned model was trained on.",
    }),
    field("Templates, one per line", templates, {
      param: "parameters.templates",
      help: "Of own labels; {} is where the label goes. The features of several are averaged.",
    }),
    field("False-alarm rate of the shift flag", rate, {
      param: "parameters.false_alarm_rate",
      help: "Share of ordinary images that may be flagged as shifted by mistake.",
    }),
  );
  return { element, typed: () => Object.fromEntries(Object.entries(fields).map(([name, input]) => [name, input.value])) };
}
