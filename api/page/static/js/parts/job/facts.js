// A job at a glance: how far it is, when it will end, what it is made of.

import { h, show } from "../../core/dom.js";
import { ago, count, duration, moment, percent } from "../../core/format.js";
import { copyButton } from "../copy.js";
import { ENDED, statusBadge } from "../status.js";
import { showSteadily } from "../steady.js";

/** The status line with its progress bar. */
export function showProgress(parent, job) {
  const now = Date.now() / 1000;
  const { step, total_steps: total, fraction } = job.progress;
  const running = job.status === "running";
  return show(
    parent,
    h(
      "p",
      {},
      statusBadge(job.status),
      " ",
      running && `${(job.phase ?? "starting").replaceAll("_", " ")}${total > 0 ? `, step ${count(step)} of ${count(total)}` : ""}`,
      job.status === "validating_files" && "its files are looked at",
      job.status === "queued" && waiting(job),
      job.status === "paused" && total > 0 && `at step ${count(step)} of ${count(total)}`,
      ENDED.includes(job.status) && job.started_at && `${moment(job.finished_at)}, after ${duration(job.finished_at - job.started_at)}`,
      job.attempt > 1 && h("span", { class: "warn" }, ` attempt ${job.attempt}`),
    ),
    !ENDED.includes(job.status) && h("progress", { max: "1", value: fraction, "aria-label": "Progress of the job" }),
    running &&
      h("p", { class: "muted small" }, `${percent(fraction, 0)} · running for ${duration(now - job.started_at)}`, job.estimated_finish && ` · about ${duration(Math.max(0, job.estimated_finish - now))} to go`),
  );
}

/** What it was asked for. */
export function showFacts(parent, job) {
  const { inputs } = job.method[job.method.type];
  const rows = [
    ["Method", job.method.type],
    ["Base", job.model],
    job.theta0 !== job.model && ["Held against", job.theta0],
    ["Data set", h("a", { href: `/datasets?file=${job.training_file}` }, job.training_file)],
    job.validation_file && ["Validation", job.validation_file],
    job.fine_tuned_model && ["Model", [h("span", { class: "code" }, job.fine_tuned_model), " ", copyButton(job.fine_tuned_model, "the model's id")]],
    inputs.length > 0 && ["Made of", inputs.map((id) => h("div", { class: "code" }, id))],
    ["Seeds", job.n_seeds > 1 ? `${job.seed} to ${job.seed + job.n_seeds - 1}` : String(job.seed)],
    job.priority !== 0 && ["Priority", String(job.priority)],
    job.requires.length > 0 && ["Wants of its worker", job.requires.join(", ")],
    ["Made", `${moment(job.created_at)} (${ago(job.created_at)})`],
    ["Id", h("span", { class: "code" }, job.id)],
  ].filter(Boolean);
  return showSteadily(parent, h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

/** The resolved hyperparameters, folded away. */
export function settings(job) {
  const rows = Object.entries(job.hyperparameters);
  return h(
    "details",
    {},
    h("summary", {}, `${rows.length} settings, resolved`),
    h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", { class: "code" }, name), h("dd", {}, said(value))])),
  );
}

const said = (value) => (value === null || value.length === 0 ? "none" : [value].flat().join(", "));

function waiting(job) {
  const before = job.queue_position === null ? "" : job.queue_position === 0 ? "next in line" : `${job.queue_position} before it`;
  const start = job.estimated_start === null ? "" : `, may begin about ${moment(job.estimated_start)}`;
  return before + start;
}
