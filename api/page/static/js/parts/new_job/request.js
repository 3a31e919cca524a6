// Between the form and the API: what was chosen, as the body of a job, and back.

/** What the form holds before anybody chose anything. Texts are as they are typed. */
export const blank = () => ({
  file: "",
  validation: "",
  model: "",
  method: "lipsum_ft",
  inputs: [],
  knobs: {},
  alphas: "0.5",
  corruptions: false,
  allowDuplicates: false,
  splits: [],
  seeds: "1",
  seed: "",
  suffix: "",
});

/** The body of `POST /v1/fine_tuning/jobs`. Leaves out what the service has a default for. */
export function toRequest(state, method) {
  const hyperparameters = {};
  for (const [name, text] of Object.entries(state.knobs)) {
    if (text.trim() !== "") hyperparameters[name] = parsed(text.trim());
  }
  const options = { hyperparameters };
  if (method && method.inputs.most !== 0) options.inputs = state.inputs;
  const request = { model: state.model, training_file: state.file, method: { type: state.method, [state.method]: options } };
  if (state.validation) request.validation_file = state.validation;
  if (state.seeds.trim() !== "1") request.n_seeds = parsed(state.seeds.trim());
  if (state.seed.trim() !== "") request.seed = parsed(state.seed.trim());
  if (state.suffix.trim() !== "") request.suffix = state.suffix.trim();
  const evaluation = {};
  const alphas = state.alphas.split(/[\s,]+/).filter(Boolean).map(parsed);
  if (alphas.length !== 1 || alphas[0] !== 0.5) evaluation.alphas = alphas;
  if (state.corruptions) evaluation.corruptions = ["corruption.all.3"];
  if (state.allowDuplicates) evaluation.allow_duplicates = true;
  const splits = state.splits.filter((split) => split.name || split.file);
  if (splits.length) evaluation.splits = splits;
  if (Object.keys(evaluation).length) request.evaluation = evaluation;
  return request;
}

/** A job's specification as the form's state: the same job, to be changed. */
export function fromSpecification(spec) {
  const options = spec.method[spec.method.type] ?? {};
  const evaluation = spec.evaluation ?? {};
  return {
    ...blank(),
    file: spec.training_file,
    validation: spec.validation_file ?? "",
    model: spec.model,
    method: spec.method.type,
    inputs: options.inputs ?? [],
    knobs: Object.fromEntries(
      Object.entries(options.hyperparameters ?? {})
        .filter(([, value]) => value !== null)
        .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
    ),
    alphas: (evaluation.alphas ?? [0.5]).join(", "),
    corruptions: (evaluation.corruptions ?? []).length > 0,
    allowDuplicates: evaluation.allow_duplicates ?? false,
    splits: evaluation.splits ?? [],
    seeds: String(spec.n_seeds ?? 1),
    seed: spec.seed === undefined || spec.seed === null ? "" : String(spec.seed),
    suffix: spec.suffix ?? "",
  };
}

/** A number, true, false, a list, or else the text itself: whether it may be that, the API says. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
