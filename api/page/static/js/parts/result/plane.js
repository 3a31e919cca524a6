// ID against shift, and the slider that moves along the line from zero-shot to the model.

import { ask } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { percent } from "../../core/format.js";
import { failure, may } from "../../core/start.js";
import { chart } from "../chart.js";

const CURVE = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** {element, select(alpha)}. `chosen(point)` is told where on the line the slider stands. */
export function plane(job, results, end, session, chosen) {
  const line = results.line(end);
  const drawn = chart("plane", {
    label: (points) => points.map((point) => `${point.label}: ID ${point.id.toFixed(1)} %, shifted ${point.shift.toFixed(1)} %`).join("; "),
    columns: [["Model", (point) => point.label], ["ID", (point) => `${point.id.toFixed(1)} %`], ["Mean shift", (point) => `${point.shift.toFixed(1)} %`]],
  });
  const said = h("output", { for: "alpha" });
  const moves = h("div", { class: "actions" });
  const wrong = h("div", { "aria-live": "polite" });
  const slider = h("input", { type: "range", id: "alpha", min: "0", max: String(line.length - 1), step: "1" });
  slider.addEventListener("input", () => move(Number(slider.value)));

  const place = ({ alpha, model }) => {
    const [id, shift] = [results.get(model, results.id, "accuracy")?.value, results.shift(model, "accuracy")];
    if (id === undefined || shift === null) return null;
    return { id: 100 * id, shift: 100 * shift, order: alpha, label: nameOf(alpha), kind: alpha === 0 ? "zero-shot" : alpha === 1 ? "fine-tuned" : "interpolation" };
  };
  const onPlane = line.map(place).filter(Boolean);

  function move(at) {
    const point = line[at];
    slider.value = String(at);
    slider.setAttribute("aria-valuetext", nameOf(point.alpha));
    const here = place(point);
    if (onPlane.length) drawn.update(here ? [...onPlane, { ...here, kind: "shown", order: null, label: `shown: ${here.label}` }] : onPlane);
    const [id, shift] = [results.get(point.model, results.id, "accuracy"), results.shift(point.model, "accuracy")];
    show(said, h("strong", {}, nameOf(point.alpha)), ` · ID ${percent(id?.value ?? null)}`, shift !== null && ` · mean shift ${percent(shift)}`);
    show(moves, may(session, "jobs:write") && buttons(point));
    chosen(point);
  }

  function buttons({ alpha }) {
    const found = [];
    if (alpha > 0 && alpha < 1) found.push(h("button", { type: "button", onclick: (event) => combine(event.target, { alpha }) }, `Keep alpha ${alpha} as a model`));
    if (line.length < CURVE.length) found.push(h("button", { type: "button", class: "quiet", onclick: (event) => combine(event.target, { alpha: 0.5, alphas: CURVE }) }, "Score the whole curve"));
    return found;
  }

  // A combination of the job's model with its theta0: it trains nothing, and repeats the training file.
  async function combine(button, hyperparameters) {
    button.disabled = true;
    const inputs = job.method.type === "wise_ft" ? job.method.wise_ft.inputs : [job.id];
    const request = { model: job.model, training_file: job.training_file, method: { type: "wise_ft", wise_ft: { inputs, hyperparameters } } };
    if (job.validation_file) request.validation_file = job.validation_file;
    if (job.evaluation.splits.length) request.evaluation = { splits: job.evaluation.splits };
    try {
      const made = await ask("POST", "/v1/fine_tuning/jobs", { json: request });
      announce("A job was made");
      show(wrong, h("p", { class: "notice" }, "It is being made: ", h("a", { href: `/jobs/${made.id}` }, made.id), ". It trains nothing and takes seconds to minutes."));
    } catch (error) {
      show(wrong, failure(error));
      button.disabled = false;
    }
  }

  const element = h(
    "section",
    { class: "card" },
    h("h2", {}, results.shifted.length ? "ID against shift" : "Between zero-shot and fine-tuned"),
    onPlane.length > 0 && drawn.element,
    line.length > 2
      ? h("div", {}, h("label", { for: "alpha" }, "Interpolation between zero-shot and fine-tuned (alpha)"), slider, h("p", {}, said))
      : h("p", { class: "muted" }, "No interpolation was scored between zero-shot and this model."),
    moves,
    wrong,
  );
  return {
    element,
    select(alpha) {
      const at = line.findIndex((point) => String(point.alpha) === String(alpha));
      move(at < 0 ? line.length - 1 : at);
    },
  };
}

const nameOf = (alpha) => (alpha === 0 ? "zero-shot" : alpha === 1 ? "fine-tuned" : `alpha ${alpha}`);
