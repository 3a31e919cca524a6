// Fields with their label and a line of help; `param` is what the API calls a field, so that its
// errors can be shown beside it.

import { h } from "../core/dom.js";

/** A label, the field and what it is for. */
export function field(label, input, { help = null, param = null } = {}) {
  if (param) input.dataset.param = param;
  if (help) input.setAttribute("aria-describedby", `${input.id}-help`);
  return h("div", {}, h("label", { for: input.id }, label), input, help && h("p", { class: "muted small", id: `${input.id}-help` }, help));
}

/** A choice of [value, text]; the first one where `value` is none of them. */
export function select(id, options, value, change = null) {
  const found = h("select", { id, onchange: change && (() => change(found.value)) }, options.map(([key, text]) => h("option", { value: key }, text)));
  found.value = options.some(([key]) => key === value) ? value : (options[0]?.[0] ?? "");
  return found;
}

/** A box to tick, its words beside it. */
export function tick(id, label, checked, change = null) {
  const box = h("input", { type: "checkbox", id, checked, onchange: change && (() => change(box.checked)) });
  return { box, element: h("label", { class: "inline", for: id }, box, h("span", {}, label)) };
}
