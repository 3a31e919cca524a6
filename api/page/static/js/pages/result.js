// What a job gained and lost, on every split, beside zero-shot.

import { get } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { page, title } from "../core/start.js";
import { read, segment, write } from "../core/urlstate.js";
import { chart } from "../parts/chart.js";
import { calibration } from "../parts/result/calibration.js";
import { downloads } from "../parts/result/downloads.js";
import { flips } from "../parts/result/flips.js";
import { METRICS } from "../parts/result/metrics.js";
import { plane } from "../parts/result/plane.js";
import { Results } from "../parts/result/rows.js";
import { snippets } from "../parts/result/snippets.js";
import { splitTable } from "../parts/result/split_table.js";
import { summary } from "../parts/result/summary.js";

const SHOWN = ["zero_shot", /^wise_ft@/];

page(async (view, session) => {
  const job = await get(`/v1/fine_tuning/jobs/${encodeURIComponent(segment("/jobs/{}/result"))}`);
  title(`Result of ${job.suffix ?? job.id}`);
  const back = h("p", {}, h("a", { href: `/jobs/${job.id}` }, `The job (${job.method.type} on ${job.model})`));
  if (!job.results?.length) return show(view, back, h("p", { class: "empty" }, `The job is ${job.status} and has no result${job.status === "succeeded" ? "" : " yet"}.`));

  const results = new Results(job.results);
  const end = endOf(results, job);
  const metrics = results.metrics.filter((metric) => metric in METRICS);
  const chooser = h("select", { id: "metric" }, metrics.map((metric) => h("option", { value: metric }, METRICS[metric].title)));
  chooser.value = metrics.includes(read("metric")) ? read("metric") : metrics[0];
  const [said, table, calibrated, flipped] = [h("div"), h("div"), h("div"), h("div")];
  const dots = chart("splits", {
    label: (points) => points.map((point) => `${point.split}, ${point.model}: ${point.value.toFixed(1)} %`).join("; "),
    height: (points) => 44 * (points.length / 2),
    columns: [["Split", (point) => point.split], ["Model", (point) => point.model], ["Accuracy", (point) => `${point.value.toFixed(1)} %`]],
  });
  let model = end;

  const drawTable = () => show(table, splitTable(results, model, chooser.value));
  chooser.addEventListener("change", () => (write({ metric: chooser.value }), drawTable()));
  const onPlane = plane(job, results, end, session, (point) => {
    model = point.model;
    write({ alpha: point.alpha === 1 ? null : point.alpha });
    show(said, summary(results, model, point.alpha));
    drawTable();
    dots.update(dotsOf(results, model));
    show(calibrated, calibration(results, model));
    show(flipped, flips(job, results, model));
  });

  show(
    view,
    back,
    said,
    h("div", { class: "columns" }, h("section", { class: "card" }, h("h2", {}, "Split by split"), dots.element), onPlane.element),
    h("section", { class: "card" }, h("h2", {}, "The numbers"), h("div", { class: "filters" }, h("div", {}, h("label", { for: "metric" }, "Metric"), chooser)), table),
    flipped,
    calibrated,
    job.fine_tuned_model && snippets(job.fine_tuned_model, job),
    await downloads(job),
  );
  onPlane.select(read("alpha", "1"));
});

// The model that the job made: what is neither zero-shot nor a point of the line, or else the last point.
function endOf(results, job) {
  const made = results.models.filter((name) => !SHOWN.some((each) => (each instanceof RegExp ? each.test(name) : each === name)));
  if (made.length) return made.includes("fine_tuned") ? "fine_tuned" : made[0];
  return results.line("fine_tuned").at(-1)?.model ?? job.theta0;
}

function dotsOf(results, model) {
  return results.splits.flatMap((split, place) =>
    [["zero_shot", "zero-shot"], [model, "this model"]].flatMap(([name, label]) => {
      const cell = results.get(name, split, "accuracy");
      if (!cell) return [];
      const [low, high] = [cell.low ?? cell.value - (cell.sd ?? 0), cell.high ?? cell.value + (cell.sd ?? 0)];
      return [{ split, model: label, value: 100 * cell.value, low: 100 * low, high: 100 * high, place }];
    }),
  );
}
