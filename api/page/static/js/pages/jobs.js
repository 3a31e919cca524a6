// All jobs of the project, those that run on top of what they are doing.

import { get } from "../core/api.js";
import { announce, h, show } from "../core/dom.js";
import { ago, percent } from "../core/format.js";
import { poll } from "../core/poll.js";
import { failure, may, page } from "../core/start.js";
import { read, write } from "../core/urlstate.js";
import { statusBadge } from "../parts/status.js";
import { table } from "../parts/table.js";

const EVERY = 3000; // milliseconds
const PAGE = 100;

page((view, session) => {
  const wrong = h("div");
  const search = h("input", { id: "search", type: "search", value: read("q", ""), placeholder: "id, method, suffix, status" });
  const older = h("button", { type: "button", class: "quiet", hidden: true }, "Show older jobs");
  let jobs = [];
  let wanted = PAGE;

  const found = table({
    caption: "Jobs, newest first",
    empty: "No jobs yet. Upload a data set, then make a job of it.",
    columns: [
      { key: "id", title: "Job", cell: (job) => [h("a", { href: `/jobs/${job.id}` }, job.suffix ?? job.id), job.suffix && h("div", { class: "muted code" }, job.id)], sort: (job) => job.suffix ?? job.id },
      { key: "method", title: "Method", cell: (job) => job.method.type, sort: (job) => job.method.type },
      { key: "model", title: "Base", cell: (job) => job.model, sort: (job) => job.model },
      { key: "status", title: "Status", cell: (job) => [statusBadge(job.status), " ", how(job)], sort: (job) => job.status },
      { key: "created", title: "Made", cell: (job) => ago(job.created_at), sort: (job) => -job.created_at },
    ],
  });

  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (job) => `${job.id} ${job.suffix ?? ""} ${job.method.type} ${job.model} ${job.status} ${job.fine_tuned_model ?? ""}`.toLowerCase();
    const matching = jobs.filter((job) => words.every((word) => text(job).includes(word)));
    found.update(matching);
    return matching.length;
  };
  search.addEventListener("input", () => {
    write({ q: search.value });
    announce(`${draw()} jobs`);
  });
  older.addEventListener("click", () => {
    wanted += PAGE;
    refresh();
  });

  async function refresh() {
    let after = null;
    let more = true;
    const all = [];
    while (more && all.length < wanted) {
      const answer = await get(`/v1/fine_tuning/jobs?limit=${PAGE}${after ? `&after=${after}` : ""}`);
      all.push(...answer.data);
      after = answer.data.at(-1)?.id;
      more = answer.has_more;
    }
    jobs = all;
    older.hidden = !more;
    draw();
  }

  show(
    view,
    h("div", { class: "filters" }, h("div", {}, h("label", { for: "search" }, "Filter"), search), may(session, "jobs:write") && h("a", { class: "button", href: "/jobs/new" }, "New job")),
    wrong,
    found.element,
    h("div", { class: "actions" }, older),
  );
  poll(refresh, EVERY, (error) => show(wrong, error && failure(error)));
});

// What a status does not say by itself.
function how(job) {
  if (job.status === "running") return `${job.phase ?? ""} ${percent(job.progress.fraction, 0)}`;
  if (job.status === "queued" && job.queue_position !== null) return `${job.queue_position} before it`;
  return job.status === "failed" ? (job.status_reason ?? "") : "";
}
