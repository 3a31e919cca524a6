// Zero-shot beside a model on every split, with intervals.

import { chart } from "../chart.js";

const ROW = 44; // pixels for a split

/** {element, update(results, reference, model)}. */
export function dots() {
  const drawn = chart("splits", {
    title: "Accuracy by split",
    label: (points) => `Top-1 accuracy: ${points.map((point) => `${point.split}, ${point.model}: ${point.value.toFixed(1)} %`).join("; ")}`,
    height: (points) => ROW * new Set(points.map((point) => point.split)).size,
    columns: [
      ["Split", (point) => point.split],
      ["Model", (point) => point.model],
      ["Accuracy", (point) => `${point.value.toFixed(1)} %`],
      ["Interval", (point) => `${point.low.toFixed(1)} to ${point.high.toFixed(1)} %`],
    ],
  });
  return {
    element: drawn.element,
    update(results, reference, model) {
      drawn.update(pointsOf(results, reference, model));
    },
  };
}

function pointsOf(results, reference, model) {
  return results.splits.flatMap((split, place) =>
    [[reference, "zero-shot"], [model, "this model"]].flatMap(([name, label]) => {
      const cell = name === null ? null : results.get(name, split, "accuracy");
      if (!cell) return [];
      const [low, high] = [cell.low ?? cell.value - (cell.sd ?? 0), cell.high ?? cell.value + (cell.sd ?? 0)];
      return [{ split, model: label, value: 100 * cell.value, low: 100 * low, high: 100 * high, place }];
    }),
  );
}
