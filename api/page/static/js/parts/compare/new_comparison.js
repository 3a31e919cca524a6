// A comparison before it is made: one data set and base, several methods.

import { all, ask, get } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { failure } from "../../core/start.js";
import { attempt } from "../attempt.js";
import { field, tick } from "../fields.js";
import { parsed } from "../new_job/request.js";
import { datasetChoice, modelChoice } from "../new_job/sources.js";
import { methodsChoice } from "./methods_choice.js";

const MANY = 500;
const MINUTE = 60; // seconds

/** A section whose form is made when it is opened; `made(comparison)` is told of the new one. */
export function newComparison(made) {
  const inside = h("div", { "aria-live": "polite" }, h("p", { class: "muted" }, "Loading."));
  const details = h("details", { class: "card" }, h("summary", {}, "Start a comparison"), inside);
  let isAsked = false;
  details.addEventListener("toggle", async () => {
    if (!details.open || isAsked) return;
    isAsked = true;
    const isDone = await attempt(async () => {
      const [datasets, models, methods] = await Promise.all([all("/v1/datasets", MANY), all("/v1/models", MANY), methodsOrWhyNot()]);
      show(inside, formOf(datasets, models, methods, (comparison) => (details.removeAttribute("open"), made(comparison))));
    }, { wrong: inside });
    isAsked = isDone;
  });
  return details;
}

// Without the list the methods are typed; why it did not come is said.
async function methodsOrWhyNot() {
  try {
    return { data: (await get("/v1/methods")).data, error: null };
  } catch (error) {
    if (error.status === undefined) throw error;
    return { data: [], error };
  }
}

function formOf(datasets, models, methods, made) {
  const state = { file: datasets[0]?.files[0] ?? "", model: models.find((model) => model.kind === "base")?.id ?? "" };
  const change = (values) => Object.assign(state, values);
  const text = (id, attributes) => h("input", { id, autocomplete: "off", ...attributes });
  const [name, seeds, seed, budget] = [
    text("comparison-name", { maxlength: "120" }),
    text("seeds", { inputmode: "numeric", value: "3" }),
    text("seed", { inputmode: "numeric", placeholder: "0" }),
    text("budget", { inputmode: "decimal", placeholder: "no limit" }),
  ];
  const [rate, epochs] = [
    text("rate", { inputmode: "decimal", placeholder: "auto" }),
    text("epochs", { inputmode: "decimal", placeholder: "auto" }),
  ];
  const duplicates = tick("duplicates", "Accept training images that are also in a scored split", false);
  const chosen = methodsChoice(methods.data);
  const wrong = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "submit" }, "Start the comparison");
  let key = null; // of one request, however often it is sent

  const request = () => {
    const json = { model: state.model, training_file: state.file, methods: chosen.value() };
    if (name.value.trim()) json.name = name.value.trim();
    if (seeds.value.trim() !== "") json.n_seeds = parsed(seeds.value.trim());
    if (seed.value.trim() !== "") json.seed = parsed(seed.value.trim());
    if (budget.value.trim() !== "") json.budget = { seconds: inSeconds(budget.value.trim()) };
    if (duplicates.box.checked) json.evaluation = { allow_duplicates: true };
    const shared = { learning_rate: rate.value.trim(), n_epochs: epochs.value.trim() };
    for (const [knob, typed] of Object.entries(shared)) if (typed !== "") json.hyperparameters = { ...json.hyperparameters, [knob]: parsed(typed) };
    return json;
  };

  const form = h(
    "form",
    { novalidate: true, oninput: () => (key = null) },
    h("div", { class: "columns" }, datasetChoice(datasets, state, change), modelChoice(models, state, change)),
    methods.error && failure(methods.error),
    chosen.element,
    h(
      "div",
      { class: "knobs" },
      field("Name", name, { param: "name", help: "The report's title." }),
      field("Seeds", seeds, { param: "n_seeds", help: "Runs of each method; with fewer than three the noise of training is not known." }),
      field("First seed", seed, { param: "seed" }),
      field("Budget, minutes", budget, { param: "budget.seconds", help: "Of running time together, after which no further job begins." }),
      field("Learning rate of all", rate, { param: "hyperparameters.learning_rate" }),
      field("Epochs of all", epochs, { param: "hyperparameters.n_epochs" }),
    ),
    duplicates.element,
    wrong,
    h("div", { class: "actions" }, button),
  );
  duplicates.box.dataset.param = "evaluation.allow_duplicates";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    key ??= randomText();
    let comparison = null;
    const isDone = await attempt(
      async () => (comparison = await ask("POST", "/v1/comparisons", { json: request(), headers: { "idempotency-key": key } })),
      { wrong, form, button },
    );
    if (!isDone) return form.querySelector('[aria-invalid="true"]')?.focus();
    key = null;
    announce("The comparison is started.");
    return made(comparison);
  });
  return form;
}

// A text that is no number goes to the service as it is, which says so.
function inSeconds(typed) {
  const found = parsed(typed);
  return typeof found === "number" ? found * MINUTE : typed;
}

const randomText = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
