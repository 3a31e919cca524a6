// Once a job has succeeded: ID beside every shift, in short.

import { h } from "../../core/dom.js";
import { dots } from "../result/dots.js";
import { modelsOf } from "../result/models.js";
import { Results } from "../result/rows.js";

/** {element, update(job)}: empty until there are results. */
export function splitsOf() {
  const drawn = dots();
  const element = h("section", { class: "card", hidden: true }, h("h2", {}, "ID beside every shift"), drawn.element);
  return {
    element,
    update(job) {
      if (!element.hidden || !job.results?.length) return;
      element.hidden = false;
      const results = new Results(job.results);
      const { made, reference } = modelsOf(job, results);
      drawn.update(results, reference, made);
    },
  };
}
