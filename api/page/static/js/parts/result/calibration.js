// Are the probabilities honest? ECE and NLL before and after the temperature.

import { h } from "../../core/dom.js";
import { number } from "../../core/format.js";

export function calibration(results, model) {
  const temperature = results.get(model, "val", "temperature");
  const cell = (name, split, metric) => number(results.get(name, split, metric)?.value ?? null, 3);
  const heads = ["Split", "ECE, zero-shot", "ECE", "ECE after", "NLL, zero-shot", "NLL", "NLL after"];
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Calibration"),
    h(
      "p",
      { class: "muted" },
      temperature ? `One temperature, ${number(temperature.value, 3)}, was fitted on the validation images${temperature.value > 1 ? ": the model is overconfident without it" : ""}. ` : "No temperature was fitted. ",
      "ECE is how far confidence is from accuracy, NLL punishes confident mistakes; less is better.",
    ),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Calibration by split" },
      h(
        "table",
        { role: "table", class: "stacks" },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((title, at) => h("th", { role: "columnheader", scope: "col", class: at > 0 && "number" }, title)))),
        h(
          "tbody",
          { role: "rowgroup" },
          results.splits.map((split) =>
            h(
              "tr",
              { role: "row" },
              [split, cell("zero_shot", split, "ece"), cell(model, split, "ece"), cell(model, split, "ece_calibrated"), cell("zero_shot", split, "nll"), cell(model, split, "nll"), cell(model, split, "nll_calibrated")].map((content, at) =>
                h("td", { role: "cell", class: at > 0 && "number", dataset: { title: heads[at] } }, h("div", {}, content)),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}
