// Checkpoints that can be used as models.

import { all } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { ago, number, percent } from "../../core/format.js";
import { table } from "../table.js";

/** {element, refresh()}. */
export function checkpoints(jobId) {
  const found = table({
    caption: "Checkpoints",
    name: "cp-",
    empty: "None. Jobs that train make checkpoints of the kept and the last step of each seed when its training ends.",
    columns: [
      { key: "model", title: "Model", cell: (row) => h("span", { class: "code" }, row.fine_tuned_model_checkpoint), sort: (row) => row.fine_tuned_model_checkpoint },
      { key: "step", title: "Step", number: true, cell: (row) => String(row.step_number), sort: (row) => row.step_number },
      { key: "accuracy", title: "Validation", number: true, cell: (row) => percent(row.metrics.validation_accuracy), sort: (row) => row.metrics.validation_accuracy },
      { key: "loss", title: "Loss", number: true, cell: (row) => number(row.metrics.train_loss), sort: (row) => row.metrics.train_loss },
      { key: "made", title: "Made", cell: (row) => ago(row.created_at), sort: (row) => -row.created_at },
    ],
  });
  return {
    element: found.element,
    async refresh() {
      found.update(await all(`/v1/fine_tuning/jobs/${jobId}/checkpoints`, 200));
    },
  };
}
