// Which methods are compared: all that fit the base, or those that are ticked.

import { h } from "../../core/dom.js";
import { field, tick } from "../fields.js";

const USUAL = ["ft", "lipsum_ft", "wise_ft"];

/** {element, value()}: what the API takes as `methods`. */
export function methodsChoice(methods) {
  const every = tick("every-method", "Every method that fits the base", false, (isWanted) => (list.hidden = isWanted));
  const boxes = methods
    .filter((method) => method.kind === "training" || method.kind === "combination")
    .map(
      (method) => [
        method,
        h(
          "input",
          {
            type: "checkbox",
            id: `method-${method.name}`,
            checked: USUAL.includes(method.name),
            "aria-describedby": `method-${method.name}-when`,
          },
        ),
      ],
    );
  const more = h("input", { id: "more-methods", autocomplete: "off", spellcheck: "false", placeholder: "lipsum_ft+wise_ft" });
  const option = ([method, box]) => h(
    "div",
    { class: "choice" },
    box,
    h("label", { for: box.id }, method.title, " ", h("span", { class: "code muted" }, method.name)),
    h("p", { class: "muted small", id: `method-${method.name}-when` }, method.description),
  );
  const group = (kind, title) => {
    const found = boxes.filter(([method]) => method.kind === kind);
    return found.length > 0 && [h("p", {}, h("strong", {}, title)), h("div", { class: "choices" }, found.map(option))];
  };
  const list = h(
    "div",
    {},
    group("training", "Training"),
    group("combination", "Combinations of plain fine-tuning, which train nothing"),
    field(
      methods.length ? "Others, with commas between" : "Methods, with commas between",
      more,
      { help: "METHOD+COMBINATION combines another method's model than plain fine-tuning's." },
    ),
  );
  return {
    element: h("fieldset", { dataset: { param: "methods" } }, h("legend", {}, "Methods"), every.element, list),
    value() {
      if (every.box.checked) return "all";
      return [...boxes.filter(([, box]) => box.checked).map(([method]) => method.name), ...more.value.split(/[\s,]+/).filter(Boolean)];
    },
  };
}
