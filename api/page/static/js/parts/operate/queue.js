// The project's jobs that run or wait: who is next, and when it may begin.

import { all, get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago, duration, percent } from "../../core/format.js";
import { poll } from "../../core/poll.js";
import { failure } from "../../core/start.js";
import { keepPlace } from "../keep_place.js";
import { ENDED, statusBadge } from "../status.js";
import { table } from "../table.js";

const EVERY = 5000; // milliseconds
const LOOKED_AT = 500; // newest jobs, among which those that have not ended are
const ASKED = 20; // of the first in the queue, when each may begin

export function queue(view) {
  const [summary, wrong] = [h("p"), h("div")];
  const list = table({
    caption: "Jobs that have not ended",
    name: "queue-",
    empty: "No job runs or waits. A new one begins as soon as a worker is free.",
    columns: [
      {
        key: "place",
        title: "Place",
        number: true,
        sort: (job) => place(job),
        cell: (job) => (job.queue_position === null ? "–" : `${job.queue_position + 1}`),
      },
      {
        key: "id",
        title: "Job",
        sort: (job) => job.suffix ?? job.id,
        cell: (job) => [h("a", { href: `/jobs/${job.id}` }, job.suffix ?? job.id), job.suffix && h("div", { class: "muted code" }, job.id)],
      },
      { key: "method", title: "Method", sort: (job) => job.method.type, cell: (job) => job.method.type },
      {
        key: "status",
        title: "Status",
        sort: (job) => job.status,
        cell: (job) => [statusBadge(job.status), job.status === "running" && ` ${job.phase ?? ""} ${percent(job.progress.fraction, 0)}`],
      },
      { key: "needs", title: "Needs", cell: (job) => job.requires.join(" ") || "any worker" },
      { key: "waited", title: "Made", sort: (job) => -job.created_at, cell: (job) => ago(job.created_at) },
      { key: "start", title: "Begins or ends", sort: (job) => when(job), cell: expected },
    ],
  });
  show(
    view,
    wrong,
    summary,
    list.element,
    h(
      "p",
      { class: "muted small" },
      "Jobs of your project. Places take other projects' turns into account; times rest on how long jobs took here.",
    ),
  );
  poll(
    async () => {
      const open = (await all("/v1/fine_tuning/jobs", LOOKED_AT)).filter((job) => !ENDED.includes(job.status)).toSorted((a, b) => place(a) - place(b));
      const waiting = open.filter((job) => job.queue_position !== null);
      // Lists do not say when a job may begin.
      const asked = await Promise.all(waiting.slice(0, ASKED).map((job) => get(`/v1/fine_tuning/jobs/${job.id}`)));
      const whole = new Map(asked.map((job) => [job.id, job]));
      show(summary, open.length > 0 && `${open.length - waiting.length} running or paused, ${waiting.length} waiting.`);
      keepPlace(list.element, () => list.update(open.map((job) => whole.get(job.id) ?? job)));
    },
    EVERY,
    (error) => show(wrong, error && failure(error)),
  );
}

const place = (job) => job.queue_position ?? -1;

const when = (job) => (job.queue_position === null ? job.estimated_finish : job.estimated_start);

function expected(job) {
  const at = when(job);
  if (at === null) return h("span", { class: "muted" }, job.queue_position === null ? "–" : "not known");
  const left = at - Date.now() / 1000;
  const verb = job.queue_position === null ? "ends" : "begins";
  return left < 5 ? `${verb} soon` : `${verb} in about ${duration(left)}`;
}
