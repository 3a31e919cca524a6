// What the job would take, and what each figure rests on.

import { h, show } from "../../core/dom.js";
import { bytes, count, duration } from "../../core/format.js";

const FIGURES = [
  ["seconds", "Time", duration],
  ["steps", "Training steps", count],
  ["memory_bytes", "Memory at the peak", bytes],
  ["stored_bytes", "Kept in the store", bytes],
  ["cached_bytes", "On the worker's disk, for a time", bytes],
];

export function showEstimate(parent, estimate) {
  if (!estimate) return show(parent, h("p", { class: "muted" }, "Choose a data set and a base to see what the job would take."));
  return show(
    parent,
    h(
      "dl",
      { class: "figures" },
      FIGURES.map(([name, title, format]) => {
        const figure = estimate[name];
        return h("div", {}, h("dt", {}, title), h("dd", {}, figure.value === null ? "not known" : format(figure.value), h("div", { class: "muted small" }, figure.basis)));
      }),
    ),
  );
}
