// What was measured while a job trained: losses step by step, and accuracy where it was validated.

import { h } from "../../core/dom.js";
import { count, number, percent } from "../../core/format.js";
import { chart } from "../chart.js";

const MOST = 600; // points of a line: more than there are pixels for
const PARTS = ["cross_entropy", "contrastive", "penalty", "distillation"]; // on the loss's scale, as other values are not

/** {element, metrics(measured), event(event), settle()}: takes in what comes and draws it. */
export function curves(job) {
  const lines = new Map(); // series -> [[step, value]]
  const validated = new Map(); // "seed.step" -> point
  const losses = chart("curves", {
    title: "Loss",
    label: (points) => said("Loss", points, (value) => number(value)),
    columns: [["Step", (point) => count(point.step)], ["Series", (point) => point.series], ["Value", (point) => number(point.value, 4)]],
  });
  const accuracies = chart("curves", {
    title: "Validation accuracy",
    label: (points) => said("Validation accuracy in percent", points, (value) => `${value.toFixed(1)} %`),
    columns: [["Step", (point) => count(point.step)], ["Series", (point) => point.series], ["Accuracy", (point) => percent(point.value / 100)]],
  });
  const right = h("section", { class: "card", hidden: true }, h("h2", {}, "Validation accuracy, %"), accuracies.element);
  const left = h("section", { class: "card", hidden: true }, h("h2", {}, "Loss"), losses.element);
  const element = h("div", { class: "columns" }, left, right);
  const marked = job.evaluation.splits.filter((split) => split.selection).map((split) => split.name);
  const chooses = marked.length ? `val and ${marked.join(" and ")}` : "val (ID)";

  const name = (series, seed) => (job.n_seeds > 1 ? `${series}, seed ${seed}` : series);
  const put = ({ seed, step, values }) => {
    const parts = PARTS.filter((part) => part in values);
    for (const series of ["loss", ...(parts.length > 1 ? parts : [])]) { // a single part is the loss itself
      if (values[series] === undefined || values[series] === null) continue;
      const key = name(series, seed);
      if (!lines.has(key)) lines.set(key, []);
      lines.get(key).push([step, values[series]]);
    }
  };
  const validate = (seed, step, accuracy) => {
    validated.set(`${seed}.${step}`, { step, value: 100 * accuracy, series: name(chooses, seed), kind: "id" });
  };
  let isReady = false; // until the history was told: drawing each of its steps would take long
  const drawLosses = () => {
    left.hidden = lines.size === 0;
    losses.update(() => [...lines].flatMap(([series, values]) => thinned(values).map(([step, value]) => ({ step, value, series, kind: "loss" }))));
  };
  const drawAccuracies = () => {
    right.hidden = validated.size === 0;
    accuracies.update(() => [...validated.values()].toSorted((a, b) => a.step - b.step));
  };

  return {
    element,
    metrics(measured) {
      put(measured);
      if (isReady) drawLosses();
    },
    event({ data }) {
      const before = validated.size;
      if (data?.validation_accuracy !== undefined) validate(data.seed, data.step, data.validation_accuracy);
      // Said again when the seed is done, and only then by jobs of an older release.
      for (const { step, accuracy } of data?.validations ?? []) validate(data.seed, step, accuracy);
      if (isReady && validated.size > before) drawAccuracies();
    },
    settle() {
      isReady = true;
      drawLosses();
      drawAccuracies();
    },
  };
}

/** Every so many points of a line, its first and last among them. */
export function thinned(values) {
  const every = Math.ceil(values.length / MOST);
  return values.filter((_, at) => at % every === 0 || at === values.length - 1);
}

function said(what, points, format) {
  if (!points.length) return `${what}: nothing yet`;
  const last = points.reduce((found, point) => (point.step > found.step ? point : found));
  return `${what} over ${count(last.step)} steps; ${last.series} is ${format(last.value)} at the last`;
}
