// ID against shift, and the slider that moves along the line from zero-shot to the model.

import { h, show } from "../../core/dom.js";
import { percent } from "../../core/format.js";
import { chart } from "../chart.js";

/**
 * {elements, update(shown)}: `shown` is {results, line, off, model, name(model)}, `off` being [{model, kind}]
 * beside the line that are drawn too; `chosen(model)` is told where on the line the slider was put.
 */
export function plane(chosen) {
  const drawn = chart("plane", {
    title: "ID against shift",
    label: (points) => `ID against the mean over shifted splits: ${points.map((point) => `${point.label}: ID ${point.id.toFixed(1)} %, shifted ${point.shift.toFixed(1)} %`).join("; ")}`,
    columns: [["Model", (point) => point.label], ["ID", (point) => `${point.id.toFixed(1)} %`], ["Mean shift", (point) => `${point.shift.toFixed(1)} %`]],
  });
  const heading = h("h2");
  const said = h("p");
  const slider = h("input", { type: "range", id: "alpha", min: "0", step: "1" });
  const sliding = h("div", {}, h("label", { for: "alpha" }, "Interpolation between zero-shot and fine-tuned (alpha)"), slider);
  let line = [];
  slider.addEventListener("input", () => chosen(line[Number(slider.value)].model));

  return {
    elements: [heading, drawn.element, sliding, said],
    update({ results, line: found, off, model, name }) {
      line = found;
      const at = line.findIndex((point) => point.model === model);
      const points = pointsOf(results, line, off, model, name);
      heading.textContent = results.shifted.length ? "ID against shift" : "Between zero-shot and fine-tuned";
      drawn.element.hidden = points.length === 0;
      if (points.length) drawn.update(points);
      sliding.hidden = line.length < 3;
      slider.max = String(line.length - 1);
      if (at >= 0) slider.value = String(at);
      slider.setAttribute("aria-valuetext", at < 0 ? `${name(model)}, which is not on the line` : name(model));
      const [id, shift] = [results.get(model, results.id, "accuracy")?.value ?? null, results.shift(model, "accuracy")];
      show(said, h("strong", {}, name(model)), ` · ID ${percent(id)}`, shift !== null && ` · mean shift ${percent(shift)}`);
    },
  };
}

function pointsOf(results, line, off, model, name) {
  const place = (each, more) => {
    const [id, shift] = [results.get(each, results.id, "accuracy")?.value, results.shift(each, "accuracy")];
    return id === undefined || shift === null ? [] : [{ id: 100 * id, shift: 100 * shift, label: name(each), ...more }];
  };
  const points = line.flatMap((point) => place(point.model, { order: point.alpha, kind: point.alpha === 0 ? "zero-shot" : point.alpha === 1 ? "fine-tuned" : "interpolation" }));
  const beside = off.flatMap((each) => place(each.model, { order: null, kind: each.kind }));
  return [...points, ...beside, ...place(model, { order: null, kind: "shown", label: `shown: ${name(model)}` })];
}
