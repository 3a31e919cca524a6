// Every method with one sentence on when to take it; combinations apart, since they train nothing.

import { h } from "../../core/dom.js";

/** Radio buttons in a fieldset. `choose(name)` is told what was taken. */
export function methodChoice(methods, chosen, choose) {
  const training = methods.filter((method) => method.kind === "training").toSorted(usualFirst);
  const others = methods.filter((method) => method.kind !== "training");
  const option = (method) => {
    const id = `method-${method.name}`;
    return h(
      "div",
      { class: "choice" },
      h("input", { type: "radio", name: "method", id, value: method.name, checked: method.name === chosen, "aria-describedby": `${id}-when`, onchange: () => choose(method.name) }),
      h("label", { for: id }, method.title, " ", h("span", { class: "code muted" }, method.name)),
      h("p", { id: `${id}-when`, class: "muted small" }, method.description),
    );
  };
  return h(
    "fieldset",
    { dataset: { param: "method.type" } },
    h("legend", { class: "sr-only" }, "Method"),
    h("div", { class: "choices" }, training.map(option)),
    h(
      "details",
      { open: others.some((method) => method.name === chosen) },
      h("summary", {}, "Combine models that are finished, without training"),
      h("div", { class: "choices" }, others.map(option)),
    ),
  );
}

// What most should take comes first; the rest by name.
const USUAL = ["lipsum_ft", "auto", "ft"];

function usualFirst(a, b) {
  const place = (method) => (USUAL.includes(method.name) ? USUAL.indexOf(method.name) : USUAL.length);
  return place(a) - place(b) || a.title.localeCompare(b.title);
}
