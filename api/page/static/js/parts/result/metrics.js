// The metrics of the result table: how each is said, and which way is better.

import { number, percent } from "../../core/format.js";

const SHARE = { format: (value) => percent(value), better: "more", points: true };
const PLAIN = { format: (value) => number(value, 3), better: "less", points: false };

export const METRICS = {
  accuracy: { title: "Top-1 accuracy", ...SHARE },
  top5: { title: "Top-5 accuracy", ...SHARE },
  mean_per_class_recall: { title: "Mean per-class recall", ...SHARE },
  macro_f1: { title: "Macro F1", ...SHARE },
  worst_class: { title: "Worst class", ...SHARE },
  worst_group: { title: "Worst group", ...SHARE },
  nll: { title: "NLL", ...PLAIN },
  nll_calibrated: { title: "NLL, after temperature", ...PLAIN },
  brier: { title: "Brier score", ...PLAIN },
  ece: { title: "ECE", ...PLAIN },
  ece_calibrated: { title: "ECE, after temperature", ...PLAIN },
  energy_gap: { title: "Energy gap from zero-shot", ...PLAIN, better: null },
  feature_distortion: { title: "Feature distortion from zero-shot", ...PLAIN, better: null },
  shift_flagged: { title: "Flagged as shifted", ...SHARE, better: null },
  effective_robustness: { title: "Effective robustness", ...SHARE },
};

/** "better", "worse" or "the same", of a change of that metric; null where neither way is better. */
export function verdict(metric, change) {
  const better = METRICS[metric]?.better;
  if (!better) return null;
  if (change === 0) return "the same";
  return change > 0 === (better === "more") ? "better" : "worse";
}
