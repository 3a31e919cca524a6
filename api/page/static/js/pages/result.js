// What a job gained and lost, on every split, beside zero-shot.

import { get } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { page, title } from "../core/start.js";
import { read, segment, write } from "../core/urlstate.js";
import { attempt } from "../parts/attempt.js";
import { field, select } from "../parts/fields.js";
import { calibration } from "../parts/result/calibration.js";
import { dots } from "../parts/result/dots.js";
import { downloads } from "../parts/result/downloads.js";
import { flips } from "../parts/result/flips.js";
import { keeping } from "../parts/result/keep.js";
import { Known } from "../parts/result/known.js";
import { lineJobs } from "../parts/result/line_jobs.js";
import { METRICS } from "../parts/result/metrics.js";
import { inputsOf, modelsOf, nameOf, titleOf } from "../parts/result/models.js";
import { plane } from "../parts/result/plane.js";
import { alphaOf } from "../parts/result/rows.js";
import { snippets } from "../parts/result/snippets.js";
import { splitTable } from "../parts/result/split_table.js";
import { summary } from "../parts/result/summary.js";
import { ENDED } from "../parts/status.js";

const JOBS = "/v1/fine_tuning/jobs";

page(async (view, session) => {
  const job = await get(`${JOBS}/${encodeURIComponent(segment("/jobs/{}/result"))}`);
  title(`Result of ${job.suffix ?? job.id}`);
  const back = h("p", {}, h("a", { href: `/jobs/${job.id}` }, `The job (${job.method.type} on ${job.model})`));
  const files = h("div");
  if (!job.results?.length) {
    show(view, back, h("p", { class: "empty" }, without(job)), files);
    if (job.result_files.length) attempt(async () => show(files, await downloads(job)), { wrong: files });
    return;
  }

  const known = new Known(job);
  const which = modelsOf(job, known.results());
  const { reference, made, end, others } = which;
  const { seeds, metrics: measured } = known.results();
  const name = (model) => nameOf(model, job);
  // Without a line all that was scored is on the plane.
  const off = end === null ? [reference, ...others].filter(Boolean).map((each) => ({ model: each, kind: each === reference ? "zero-shot" : "fine-tuned" })) : [];
  let model = fromUrl(known.results(), which);

  const metrics = measured.filter((metric) => metric in METRICS);
  const metric = select("metric", metrics.map((each) => [each, METRICS[each].title]), read("metric"), () => (write({ metric: metric.value }), drawTable()));
  const seed = select("seed", [["", "All of them, in the mean"], ...seeds.map((each) => [String(each), `Seed ${each}`])], read("seed", ""), () => (write({ seed: seed.value }), draw()));
  const other = select("model", [], "", () => put(other.value));
  const [heading, said, table, calibrated, wrong, chooseModel] = [h("h2"), h("div"), h("div"), h("div"), h("div"), h("div")];
  const splits = dots();
  const onPlane = plane(put);
  const line = keeping(job, inputsOf(job, which), session, take);
  const flipped = flips();

  const seedShown = () => (seed.value === "" ? null : Number(seed.value));
  function put(chosen) {
    model = chosen;
    const alpha = model === end ? 1 : model === reference ? 0 : alphaOf(model);
    write(model === made ? { alpha: null, model: null } : alpha === null ? { alpha: null, model } : { alpha, model: null });
    draw();
  }
  function draw() {
    const results = known.results(seedShown());
    const points = end === null ? [] : results.line(end);
    heading.textContent = `${titleOf(model, job)}${model === made ? ", the job's model" : ""}`;
    show(said, summary(results, reference, model));
    drawTable();
    splits.update(results, reference, model);
    onPlane.update({ results, line: points, off, model, name });
    line.update(points, model);
    show(calibrated, calibration(results, reference, model));
    flipped.update({ job: known.sourceOf(model), results, reference, model, seed: seedShown() });
    // Those that the slider does not reach.
    other.replaceChildren(...[...new Set([made, ...others, ...(others.includes(model) ? [] : [model])])].map((each) => h("option", { value: each }, titleOf(each, job))));
    other.value = model;
    chooseModel.hidden = others.length === 0;
  }
  function drawTable() {
    show(table, splitTable(known.results(seedShown()), reference, model, metric.value));
  }
  // A job about the line has scored what was not known.
  async function take(found) {
    if (known.take(found.results ? found : await get(`${JOBS}/${found.id}`))) draw();
  }

  show(chooseModel, field("Model", other));
  show(
    view,
    back,
    h("section", { class: "card" }, heading, h("div", { class: "filters" }, chooseModel, seeds.length > 1 && field("Seeds", seed)), said),
    h("div", { class: "columns" }, h("section", { class: "card" }, h("h2", {}, "Split by split"), splits.element), h("section", { class: "card" }, onPlane.elements, line.element)),
    h("section", { class: "card" }, h("h2", {}, "The numbers"), h("div", { class: "filters" }, field("Metric", metric)), table),
    flipped.element,
    calibrated,
    job.fine_tuned_model && snippets(job.fine_tuned_model, job),
    files,
    wrong,
  );
  draw();
  attempt(async () => show(files, await downloads(job)), { wrong: files });
  if (end !== null) await attempt(() => takeLine(job, line, take), { wrong });
  const wanted = fromUrl(known.results(), which);
  if (wanted !== model) put(wanted); // a point that another job scored
});

// What is known of the line beside the job's own results.
async function takeLine(job, line, take) {
  for (const found of await lineJobs(job)) {
    if (!ENDED.includes(found.status)) line.watch(found);
    if (found.status !== "succeeded") continue;
    line.note(found);
    if (found.method.wise_ft.hyperparameters.alphas.length) await take(found);
  }
}

// The model that the address names; what the job made without one, or where nothing is known of it.
function fromUrl(results, { reference, made, end }) {
  const [named, alpha] = [read("model"), read("alpha")];
  if (named && results.models.includes(named)) return named;
  const point = alpha === null || end === null ? null : results.line(end).find((each) => each.alpha === Number(alpha));
  return point?.model ?? made ?? reference;
}

function without(job) {
  if (job.method.type === "compare") return ["This job wrote the report of a comparison. ", h("a", { href: "/compare" }, "See the comparison")];
  return `The job is ${job.status} and has no result${ENDED.includes(job.status) ? "" : " yet"}.`;
}
