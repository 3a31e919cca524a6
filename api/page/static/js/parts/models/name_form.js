// Making an alias, or moving one. Where it pointed when the page looked goes along: if somebody moved
// it meanwhile, the service says so.

import { ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { attempt } from "../attempt.js";
import { field } from "../fields.js";
import { KINDS } from "./kinds.js";

/** For `model`, or for one that is chosen of `models`; `done(alias)` is told what became of it. */
export function nameForm({ aliases, model = null, models = [], done }) {
  const wrong = h("div", { "aria-live": "polite" });
  const name = h("input", { id: "alias-name", autocomplete: "off", spellcheck: "false", list: "alias-names" });
  const known = h("datalist", { id: "alias-names" }, aliases.map((alias) => h("option", { value: alias.name })));
  const target = model ? null : modelChoice("alias-model", models);
  const button = h("button", { type: "submit" }, "Point it here");
  const form = h(
    "form",
    { novalidate: true },
    field(
      model ? "Alias to point at it" : "Alias",
      name,
      { param: "alias", help: "Letters, digits, dots, dashes and underscores, such as production. One that exists is moved." },
    ),
    known,
    target && field("Model", target, { param: "model" }),
    wrong,
    h("div", { class: "actions" }, button),
  );
  if (target) show(button, "Point it");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = name.value.trim();
    let made = null;
    const isDone = await attempt(async () => (made = await point(aliases, wanted, model?.id ?? target.value)), { wrong, form, button });
    if (isDone) done(made);
    else form.querySelector('[aria-invalid="true"]')?.focus();
  });
  return form;
}

/** Points the name at the model; only from where `aliases` say it points now. */
export function point(aliases, name, model) {
  const now = aliases.find((alias) => alias.name === name);
  const json = now ? { model, expected_model: now.model } : { model };
  return ask("PUT", `/v1/aliases/${encodeURIComponent(name)}`, { json });
}

/** A choice of all models by kind. */
export function modelChoice(id, models, value = "") {
  const found = h(
    "select",
    { id },
    h("option", { value: "" }, "Choose one"),
    KINDS.map(([kind, title]) => [title, models.filter((each) => each.kind === kind)])
      .filter(([, some]) => some.length)
      .map(([label, some]) => h("optgroup", { label }, some.map((each) => h("option", { value: each.id }, each.id)))),
  );
  found.value = value;
  return found;
}
