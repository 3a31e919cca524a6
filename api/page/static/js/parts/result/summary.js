// The result in sentences: what was gained on ID, and what was lost or gained under shift.

import { h } from "../../core/dom.js";
import { percent, points } from "../../core/format.js";

export function summary(results, model, alpha) {
  const [id0, id] = ["zero_shot", model].map((name) => results.get(name, results.id, "accuracy")?.value ?? null);
  const [shift0, shift] = ["zero_shot", model].map((name) => results.shift(name, "accuracy"));
  if (id === null || id0 === null) return null;
  const worse = results.shifted.filter((split) => (change(results, model, split) ?? 0) < 0);
  const parts = [`On ${results.id} (ID) accuracy is ${percent(id)}, ${points(id - id0)} points against zero-shot.`];
  if (shift !== null && shift0 !== null) {
    parts.push(` Under shift it is ${percent(shift)} in the mean, ${points(shift - shift0)} points.`);
    parts.push(worse.length ? ` It is worse than zero-shot on ${listed(worse.map((split) => `${split} (${points(change(results, model, split))})`))}.` : " It is worse than zero-shot on no shifted split.");
  }
  const which = alpha === 0 ? "Zero-shot itself" : alpha === 1 ? "The fine-tuned model" : `The model at alpha ${alpha}`;
  return h("section", { class: "card" }, h("h2", {}, which), h("p", {}, parts.join("")));
}

const change = (results, model, split) => {
  const [before, after] = ["zero_shot", model].map((name) => results.get(name, split, "accuracy")?.value);
  return before === undefined || after === undefined ? null : after - before;
};

const listed = (words) => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0]);
