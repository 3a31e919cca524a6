// Are the probabilities honest? ECE and NLL before and after the temperature.

import { h } from "../../core/dom.js";
import { number } from "../../core/format.js";

const HEADS = ["Split", "ECE, zero-shot", "ECE", "ECE after", "NLL, zero-shot", "NLL", "NLL after"];
const MEASURED = [["reference", "ece"], ["model", "ece"], ["model", "ece_calibrated"], ["reference", "nll"], ["model", "nll"], ["model", "nll_calibrated"]];

export function calibration(results, reference, model) {
  const temperature = results.get(model, "val", "temperature");
  const ids = { reference, model };
  const cell = (which, split, metric) => (ids[which] === null ? "–" : number(results.get(ids[which], split, metric)?.value ?? null, 3));
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Calibration"),
    h(
      "p",
      { class: "muted" },
      temperature ? `One temperature, ${number(temperature.value, 3)}${temperature.sd === null ? "" : " in the mean over seeds"}, was fitted on the validation images: without it the model is ${temperature.value > 1 ? "over" : "under"}confident there. ` : "No temperature was fitted. ",
      "ECE is how far confidence is from accuracy, NLL punishes confident mistakes; less is better.",
    ),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Calibration by split" },
      h(
        "table",
        { role: "table", class: "stacks" },
        h("thead", { role: "rowgroup" }, row("th", { role: "columnheader", scope: "col" }, HEADS)),
        h("tbody", { role: "rowgroup" }, results.splits.map((split) => row("td", { role: "cell" }, [split, ...MEASURED.map(([which, metric]) => cell(which, split, metric))]))),
      ),
    ),
  );
}

function row(tag, attributes, contents) {
  return h("tr", { role: "row" }, contents.map((content, at) => h(tag, { ...attributes, class: at > 0 && "number", dataset: { title: HEADS[at] } }, h("div", {}, content))));
}
