// Finished jobs side by side: every split, and which is best of those shown.

import { get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { percent, points } from "../../core/format.js";
import { Results } from "../result/rows.js";

/** Fills `parent` with the jobs of these ids. */
export async function sideBySide(parent, ids) {
  if (!ids.length) return show(parent, h("p", { class: "empty" }, "Choose finished jobs to see them side by side."));
  const jobs = await Promise.all(ids.map((id) => get(`/v1/fine_tuning/jobs/${id}`)));
  const all = jobs.map((job) => ({ job, results: new Results(job.results ?? []) })).map((each) => ({ ...each, model: modelOf(each.results) }));
  const usable = all.filter((each) => each.model);
  if (!usable.length) return show(parent, h("p", { class: "empty" }, "None of these has a result."));
  const files = new Set(usable.map(({ job }) => job.training_file));
  const splits = [...new Set(usable.flatMap(({ results }) => results.splits))].filter((split) => split !== "val");
  const rows = [...splits.map((split) => [split, ({ results, model }) => results.get(model, split, "accuracy"), (each) => each.results.get("zero_shot", split, "accuracy")]), ["Mean over shifted splits", ({ results, model }) => cell(results.shift(model, "accuracy")), ({ results }) => cell(results.shift("zero_shot", "accuracy"))]];
  return show(
    parent,
    files.size > 1 && h("p", { class: "notice" }, "These jobs are of different data sets: their numbers are not of the same images."),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Jobs side by side" },
      h(
        "table",
        {},
        h("caption", { class: "sr-only" }, "Top-1 accuracy by split"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Split"), h("th", { scope: "col", class: "number" }, "Zero-shot"), usable.map(({ job }) => h("th", { scope: "col", class: "number" }, h("a", { href: `/jobs/${job.id}/result` }, job.suffix ?? job.id), h("div", { class: "muted small" }, job.method.type))))),
        h("tbody", {}, rows.map(([name, value, zero]) => line(name, usable.map(value), zero(usable[0]), name === splits[0]))),
      ),
    ),
    h("p", { class: "muted small" }, "Top-1 accuracy; below it the change against zero-shot in points, and over several seeds the standard deviation. The best of a row is said."),
  );
}

function line(name, cells, zero, isId) {
  const best = Math.max(...cells.map((each) => each?.value ?? -1));
  const ties = cells.filter((each) => each?.value === best).length;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name, isId && h("span", { class: "muted" }, " (ID)")),
    h("td", { class: "number" }, percent(zero?.value ?? null)),
    cells.map((each) =>
      h(
        "td",
        { class: "number" },
        each ? [h("strong", {}, percent(each.value)), cells.length > 1 && each.value === best && h("span", { class: "good" }, ties > 1 ? " tied best" : " best"), h("div", { class: "muted small" }, zero && points(each.value - zero.value), each.sd ? ` · ± ${percent(each.sd)}` : "")] : "–",
      ),
    ),
  );
}

const cell = (value) => (value === null ? null : { value });

// What the job made; of a job that made an interpolation, that.
function modelOf(results) {
  const made = results.models.filter((name) => name !== "zero_shot" && !name.startsWith("wise_ft@"));
  return made.includes("fine_tuned") ? "fine_tuned" : (made[0] ?? results.models.find((name) => name.startsWith("wise_ft@")) ?? null);
}
