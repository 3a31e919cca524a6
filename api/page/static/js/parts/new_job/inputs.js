// Which finished jobs a combination reads.

import { all } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago } from "../../core/format.js";

const MANY = 200;

/** Checkboxes of jobs that succeeded; `state.inputs` are ids of jobs. */
export function inputChoice(method, state, change) {
  const list = h("div", { class: "choices" }, h("p", { class: "muted" }, "Loading."));
  all("/v1/fine_tuning/jobs", MANY).then((jobs) => {
    const finished = jobs.filter((job) => job.status === "succeeded" && job.fine_tuned_model);
    const known = new Set(finished.map((job) => job.id));
    const others = state.inputs.filter((id) => !known.has(id)).map((id) => ({ id, method: { type: "" }, created_at: null }));
    show(list, finished.length + others.length ? [...others, ...finished].map(option) : h("p", { class: "muted" }, "No job has finished yet."));
  });

  function option(job) {
    const box = h("input", { type: "checkbox", id: `input-${job.id}`, checked: state.inputs.includes(job.id), onchange: () => toggle(job, box.checked) });
    return h("div", { class: "choice" }, box, h("label", { for: box.id }, job.suffix ?? job.id), h("p", { class: "muted small" }, `${job.method.type} · ${job.model ?? ""} · ${ago(job.created_at)}`, " ", h("span", { class: "code" }, job.id)));
  }

  function toggle(job, isChosen) {
    const inputs = isChosen ? [...state.inputs, job.id] : state.inputs.filter((id) => id !== job.id);
    // A combination repeats its parents' training file.
    change({ inputs, ...(isChosen && job.training_file ? { file: job.training_file, model: job.model } : {}) });
  }

  const { fewest, most } = method.inputs;
  const howMany = most === fewest ? `${fewest}` : most === null ? `${fewest} or more` : `${fewest} to ${most}`;
  return h("fieldset", { dataset: { param: `method.${method.name}.inputs` } }, h("legend", {}, `Finished jobs it combines (${howMany})`), list);
}
