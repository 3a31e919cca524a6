// The result in sentences: what was gained on ID, and what was lost or gained under shift.

import { h } from "../../core/dom.js";
import { percent, points } from "../../core/format.js";

/** Null where accuracy was not measured on ID. */
export function summary(results, reference, model) {
  const accuracy = (name, split) => (name === null ? null : (results.get(name, split, "accuracy")?.value ?? null));
  const id = accuracy(model, results.id);
  if (id === null) return null;
  const id0 = accuracy(reference, results.id);
  const [shift0, shift] = [reference && results.shift(reference, "accuracy"), results.shift(model, "accuracy")];
  const parts = [`On ${results.id} (ID) accuracy is ${percent(id)}${against(id, id0)}.`];
  if (shift !== null) {
    parts.push(`Under shift it is ${percent(shift)}${results.shifted.length > 1 ? ` in the mean over ${results.shifted.length} splits` : ` on ${results.shifted[0]}`}${against(shift, shift0, "")}.`);
  }
  if (shift !== null && shift0 !== null && reference !== model) {
    const worse = results.shifted.map((split) => [split, accuracy(model, split) - accuracy(reference, split)]).filter(([, change]) => change < 0);
    parts.push(worse.length ? `It is worse than zero-shot on ${listed(worse.map(([split, change]) => `${split} (${points(change)})`))}.` : "It is worse than zero-shot on no shifted split.");
  }
  return h("p", {}, parts.join(" "));
}

const against = (value, before, whom = " against zero-shot") => (before === null || before === value ? "" : `, ${points(value - before)} points${whom}`);
const listed = (words) => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0]);
