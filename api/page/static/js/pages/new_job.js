// A job before it is made: what it would take and all that is wrong with it, as it is filled in.

import { ApiError, Unreachable, all, ask, get, post } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { failure, may, page, title } from "../core/start.js";
import { read, write } from "../core/urlstate.js";
import { showEstimate } from "../parts/new_job/estimate.js";
import { showFaults } from "../parts/new_job/faults.js";
import { inputChoice } from "../parts/new_job/inputs.js";
import { knobs } from "../parts/new_job/knobs.js";
import { methodChoice } from "../parts/new_job/method_choice.js";
import { blank, fromSpecification, toRequest } from "../parts/new_job/request.js";
import { datasetChoice, modelChoice, splitChoice } from "../parts/new_job/sources.js";

const PAUSE = 350; // milliseconds after the last change, before the service is asked
const MANY = 500; // of data sets and models to choose from

page(async (view, session) => {
  if (!may(session, "jobs:write")) return show(view, h("p", { class: "notice" }, "Your key may not make jobs; it needs the scope jobs:write."));
  const [{ data: methods }, datasets, models, state] = await Promise.all([
    get("/v1/methods"),
    all("/v1/datasets", MANY),
    all("/v1/models", MANY),
    begun(),
  ]);
  if (!state.model) state.model = models.find((model) => model.kind === "base")?.id ?? "";
  if (!methods.some((method) => method.name === state.method)) state.method = blank().method; // an address may name any
  if (!state.file) state.file = datasets[0]?.files[0] ?? "";

  const shared = new Set(Object.keys(methods.find((method) => method.name === "ft").hyperparameters.properties));
  const estimate = h("div", { "aria-live": "polite" });
  const rest = h("div");
  const methodFields = h("div");
  const submit = h("button", { type: "submit" }, "Start the job");
  let fields = null;
  let timer = null;
  let asked = 0;

  const change = (values) => {
    Object.assign(state, values);
    write({ file: state.file, model: state.model, method: state.method });
    clearTimeout(timer);
    timer = setTimeout(judge, PAUSE);
  };

  async function judge() {
    const mine = ++asked;
    if (!state.file || !state.model) return showEstimate(estimate, null);
    try {
      const found = await post("/v1/fine_tuning/jobs:estimate", toRequest(state, chosen()));
      if (mine !== asked) return undefined; // a later question is on its way
      showFaults(form, rest, found.errors);
      fields.resolved(found.hyperparameters);
      return showEstimate(estimate, found);
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof Unreachable)) throw error;
      return show(rest, failure(error));
    }
  }

  const chosen = () => methods.find((method) => method.name === state.method);
  const drawMethod = () => {
    const method = chosen();
    fields = knobs(method, shared, state.knobs, (name, text) => change({ knobs: { ...state.knobs, [name]: text } }));
    show(methodFields, h("p", { class: "muted small" }, method.citation), method.inputs.most !== 0 && inputChoice(method, state, change), fields.element);
  };

  const form = h(
    "form",
    { class: "new-job", novalidate: true },
    h(
      "div",
      { class: "new-job-fields" },
      h("section", { class: "card" }, h("h2", {}, "Images and base"), datasetChoice(datasets, state, change), modelChoice(models, state, change)),
      h("section", { class: "card" }, h("h2", {}, "Method"), methodChoice(methods, state.method, (name) => (change({ method: name, knobs: {} }), drawMethod())), methodFields),
      h("section", { class: "card" }, h("h2", {}, "What is scored"), scored(datasets, state, change)),
      h("section", { class: "card" }, h("h2", {}, "Name and repetitions"), repetitions(state, change)),
    ),
    h("aside", { class: "card new-job-end", "aria-label": "Estimate and start" }, h("h2", {}, "What it would take"), estimate, rest, submit),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      const job = await ask("POST", "/v1/fine_tuning/jobs", { json: toRequest(state, chosen()), headers: { "idempotency-key": once() } });
      location.assign(`/jobs/${job.id}`);
    } catch (error) {
      submit.disabled = false;
      if (error instanceof ApiError && error.param) showFaults(form, rest, [error]);
      else show(rest, failure(error));
      form.querySelector('[aria-invalid="true"]')?.focus();
      if (!(error instanceof ApiError) && !(error instanceof Unreachable)) throw error;
    }
  });
  drawMethod();
  show(view, form);
  await judge();
});

// What the form begins with: another job's specification, or what the URL says.
async function begun() {
  const from = read("from");
  if (from) title("Run again with changes");
  const state = from ? fromSpecification(await get(`/v1/fine_tuning/jobs/${encodeURIComponent(from)}/spec`)) : blank();
  for (const name of ["file", "model", "method"]) state[name] = read(name, state[name]);
  return state;
}

function scored(datasets, state, change) {
  const alphas = h("input", { id: "alphas", value: state.alphas, dataset: { param: "evaluation.alphas" }, "aria-describedby": "alphas-help", oninput: () => change({ alphas: alphas.value }) });
  const corruptions = h("input", { type: "checkbox", id: "corruptions", checked: state.corruptions, dataset: { param: "evaluation.corruptions" }, onchange: () => change({ corruptions: corruptions.checked }) });
  const duplicates = h("input", { type: "checkbox", id: "duplicates", checked: state.allowDuplicates, dataset: { param: "evaluation.allow_duplicates" }, onchange: () => change({ allowDuplicates: duplicates.checked }) });
  const curve = h("button", { type: "button", class: "quiet", onclick: () => (change({ alphas: (alphas.value = "0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1") })) }, "The whole curve");
  return [
    splitChoice(datasets, state, change),
    h("label", { for: "alphas" }, "WiSE-FT interpolations (alpha)"),
    alphas,
    h("p", { class: "muted small", id: "alphas-help" }, "0 is zero-shot, 1 is fine-tuned. Each is scored on every split, and can be kept as a model later. ", curve),
    h("div", {}, h("label", { class: "inline", for: "corruptions" }, corruptions, "Also score built-in corruptions (ImageNet-C's fifteen, severity 3)")),
    h("div", {}, h("label", { class: "inline", for: "duplicates" }, duplicates, "Accept training images that are also in a scored split")),
  ];
}

function repetitions(state, change) {
  const suffix = h("input", { id: "suffix", value: state.suffix, dataset: { param: "suffix" }, autocomplete: "off", "aria-describedby": "suffix-help", oninput: () => change({ suffix: suffix.value }) });
  const seeds = h("input", { id: "seeds", value: state.seeds, inputmode: "numeric", dataset: { param: "n_seeds" }, "aria-describedby": "seeds-help", oninput: () => change({ seeds: seeds.value }) });
  const seed = h("input", { id: "seed", value: state.seed, inputmode: "numeric", dataset: { param: "seed" }, placeholder: "0", oninput: () => change({ seed: seed.value }) });
  return h(
    "div",
    { class: "knobs" },
    h("div", {}, h("label", { for: "suffix" }, "Suffix"), suffix, h("p", { class: "muted small", id: "suffix-help" }, "A part of the model's id, so that you find it again.")),
    h("div", {}, h("label", { for: "seeds" }, "Seeds"), seeds, h("p", { class: "muted small", id: "seeds-help" }, "Runs of the same; with three or more the table has standard deviations.")),
    h("div", {}, h("label", { for: "seed" }, "First seed"), seed),
  );
}

// A request that is sent twice makes one job.
function once() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
