// Which models are asked, one below the other: the first is what the others are set beside.

import { h, show } from "../../core/dom.js";

export const MOST = 8; // models of one question, as the API has it

/** What is asked where the URL does not say: the newest fine-tuned model beside its base. */
export function usualModels(models) {
  const tuned = models.find((model) => model.kind === "fine_tuned");
  const base = tuned?.base ?? models.find((model) => model.kind === "base")?.id;
  return [base, tuned?.id].filter(Boolean);
}

/**
 * Rows of `chosen` ids; `change(ids)` is told what they became. Where the key may not list models
 * (`models` is null), their ids are typed.
 */
export function modelRows(models, aliases, chosen, change) {
  const rows = h("div");
  const more = h("button", { type: "button", class: "quiet", onclick: () => become([...chosen, unused()], chosen.length) }, "Add a model");
  const element = h("fieldset", { dataset: { param: "models" } }, h("legend", {}, "Models"), rows, more);

  function become(ids, focused = null) {
    chosen = ids;
    draw();
    if (focused !== null) document.getElementById(`model-${focused}`)?.focus();
    change(chosen);
  }

  const unused = () => (models ?? []).find((model) => !chosen.includes(model.id))?.id ?? "";

  function draw() {
    more.hidden = chosen.length >= MOST;
    show(rows, chosen.map(row));
  }

  function row(id, place) {
    const settle = () => become(chosen.map((each, at) => (at === place ? input.value.trim() : each)), place);
    const input = models ? h(
      "select",
      { id: `model-${place}`, onchange: settle },
      options(id),
    ) : h("input", { id: `model-${place}`, onchange: settle });
    input.value = id;
    return h(
      "div",
      { class: "model-row" },
      h("label", { for: input.id }, place === 0 ? "Model 1 (reference)" : `Model ${place + 1}`),
      chosen.length > 1 && h(
        "button",
        {
          type: "button",
          class: "quiet",
          "aria-label": `Remove model ${place + 1}`,
          onclick: () => become(chosen.filter((_, at) => at !== place), Math.max(0, place - 1)),
        },
        "Remove",
      ),
      input,
    );
  }

  function options(id) {
    const group = (label, found) => found.length > 0 && h(
      "optgroup",
      { label },
      found.map(([value, text]) => h("option", { value }, text)),
    );
    const ofKind = (kind) => models.filter((model) => model.kind === kind).map((model) => [model.id, model.id]);
    const isKnown = id === "" || models.some((model) => model.id === id) || aliases.some((alias) => alias.name === id);
    return [
      h("option", { value: "" }, "Choose one"),
      !isKnown && h("option", { value: id }, id),
      group("Names", aliases.map((alias) => [alias.name, `${alias.name} (${alias.model})`])),
      group("Bases, zero-shot", ofKind("base")),
      group("Fine-tuned", ofKind("fine_tuned")),
      group("Checkpoints", ofKind("checkpoint")),
    ];
  }

  draw();
  return element;
}
