// Comparisons that the service makes by itself: one data set, one base, many methods, one report.

import { all, ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago, duration, percent } from "../../core/format.js";
import { failure, may } from "../../core/start.js";
import { showFaults } from "../new_job/faults.js";
import { statusBadge } from "../status.js";

const REPORTS = [["html", "Report"], ["csv", "CSV"], ["json", "JSON"]];
const USUAL = ["ft", "wise_ft", "lipsum_ft", "lipsum_ft+wise_ft", "auto"];

/** {element, refresh()}: returns whether any goes on. */
export function comparisonList() {
  const list = h("div");
  return {
    element: list,
    async refresh() {
      const found = await all("/v1/comparisons", 50);
      show(list, found.length ? found.map(one) : h("p", { class: "empty" }, "No comparison yet."));
      return found.some((each) => each.finished_at === null);
    },
  };
}

function one(comparison) {
  const done = comparison.contenders.length ? comparison.contenders.reduce((sum, each) => sum + (each.status === "succeeded" || each.status === "left_out" ? 1 : each.fraction), 0) / comparison.contenders.length : 0;
  const hasReport = Object.keys(comparison.report_files).length > 0;
  return h(
    "section",
    { class: "card" },
    h("h3", {}, comparison.name ?? comparison.id, " ", statusBadge(comparison.status)),
    h("p", { class: "muted small" }, `${comparison.model}, ${comparison.n_seeds} ${comparison.n_seeds === 1 ? "seed" : "seeds"}, ${ago(comparison.created_at)}`),
    comparison.verdict && h("p", {}, comparison.verdict),
    comparison.error && h("p", { class: "bad" }, comparison.error),
    comparison.finished_at === null && h("progress", { max: "1", value: done, "aria-label": `Progress of ${comparison.name ?? comparison.id}` }),
    hasReport && h("div", { class: "actions" }, REPORTS.map(([format, title]) => h("a", { class: "button quiet", href: `/v1/comparisons/${comparison.id}/report?format=${format}`, download: "" }, title))),
    h(
      "details",
      {},
      h("summary", {}, `${comparison.contenders.length} contenders`),
      h("ul", {}, comparison.contenders.map((each) => h("li", {}, each.job_id ? h("a", { href: `/jobs/${each.job_id}` }, each.label) : each.label, `: ${each.status.replace("_", " ")}`, each.status === "running" && ` ${percent(each.fraction, 0)}`, each.seconds !== null && `, ${duration(each.seconds)}`, each.left_out && `: ${each.left_out}`))),
    ),
  );
}

/** A form that starts one. `made()` is told when it has. */
export function comparisonForm(session, datasets, models, methods, made) {
  if (!may(session, "jobs:write")) return null;
  const [wrong] = [h("div", { "aria-live": "polite" })];
  const file = h("select", { id: "cmp-file", dataset: { param: "training_file" } }, datasets.map((each) => h("option", { value: each.files[0] }, `${each.filename} · ${each.id.slice(0, 8)}`)));
  const base = h("select", { id: "cmp-model", dataset: { param: "model" } }, models.filter((each) => each.kind === "base").map((each) => h("option", { value: each.id }, each.id)));
  const seeds = h("input", { id: "cmp-seeds", value: "1", inputmode: "numeric", dataset: { param: "n_seeds" } });
  const hours = h("input", { id: "cmp-budget", inputmode: "decimal", placeholder: "no limit", dataset: { param: "budget" } });
  const names = [...new Set([...USUAL, ...methods.map((each) => each.name)])].filter((name) => name.includes("+") || methods.some((each) => each.name === name && each.kind !== "evaluation"));
  const boxes = names.map((name) => [name, h("input", { type: "checkbox", id: `cmp-${name}`, checked: USUAL.includes(name) })]);
  const form = h(
    "form",
    { class: "card" },
    h("h2", {}, "Compare methods on one data set"),
    h("div", { class: "columns" }, h("div", {}, h("label", { for: "cmp-file" }, "Data set"), file), h("div", {}, h("label", { for: "cmp-model" }, "Base"), base), h("div", {}, h("label", { for: "cmp-seeds" }, "Seeds of each"), seeds), h("div", {}, h("label", { for: "cmp-budget" }, "Hours after which nothing begins"), hours)),
    h("fieldset", { dataset: { param: "methods" } }, h("legend", {}, "Methods"), boxes.map(([name, box]) => h("label", { class: "inline", for: box.id }, box, name))),
    wrong,
    h("button", { type: "submit" }, "Start the comparison"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { model: base.value, training_file: file.value, methods: boxes.filter(([, box]) => box.checked).map(([name]) => name) };
    if (seeds.value.trim()) body.n_seeds = Number(seeds.value) || seeds.value;
    if (hours.value.trim()) body.budget = { seconds: Number(hours.value) * 3600 };
    try {
      await ask("POST", "/v1/comparisons", { json: body });
      showFaults(form, wrong, []);
      await made();
    } catch (error) {
      if (error.param) showFaults(form, wrong, [error]);
      else show(wrong, failure(error));
    }
  });
  return form;
}
