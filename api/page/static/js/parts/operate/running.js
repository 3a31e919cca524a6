// Workers, and the jobs that wait for one.

import { all, get } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { ago, count, moment } from "../../core/format.js";
import { statusBadge } from "../status.js";
import { table } from "../table.js";

const MANY = 1000;

export function workersTab() {
  const found = table({
    caption: "Workers",
    name: "worker-",
    empty: "No worker runs: jobs wait until one is started with `lipsum worker`.",
    columns: [
      { key: "id", title: "Worker", sort: (row) => row.id, cell: (row) => h("span", { class: "code" }, row.id) },
      { key: "slots", title: "Slots", number: true, sort: (row) => row.slots, cell: (row) => `${row.jobs.length} of ${row.slots} taken` },
      { key: "labels", title: "Says of itself", cell: (row) => row.labels.join(", ") || "–" },
      { key: "jobs", title: "Runs", cell: (row) => (row.jobs.length ? row.jobs.map((job) => h("div", {}, h("a", { href: `/jobs/${job}` }, job))) : "nothing") },
      { key: "seen", title: "Heard of", sort: (row) => -row.seen_at, cell: (row) => ago(row.seen_at) },
      { key: "began", title: "Since", sort: (row) => row.created_at, cell: (row) => moment(row.created_at) },
    ],
  });
  return {
    element: found.element,
    async refresh() {
      found.update(await all("/v1/workers", MANY).catch(async (error) => (error.status === 400 ? (await get("/v1/workers")).data : Promise.reject(error))));
    },
  };
}

export function queueTab() {
  const found = table({
    caption: "Jobs of this project that have not ended",
    name: "queue-",
    empty: "Nothing waits and nothing runs.",
    columns: [
      { key: "job", title: "Job", sort: (row) => row.suffix ?? row.id, cell: (row) => h("a", { href: `/jobs/${row.id}` }, row.suffix ?? row.id) },
      { key: "status", title: "Status", sort: (row) => row.status, cell: (row) => statusBadge(row.status) },
      { key: "place", title: "Before it", number: true, sort: (row) => row.queue_position, cell: (row) => (row.queue_position === null ? "–" : count(row.queue_position)) },
      { key: "priority", title: "Priority", number: true, sort: (row) => -row.priority, cell: (row) => String(row.priority) },
      { key: "requires", title: "Wants", cell: (row) => row.requires.join(", ") || "–" },
      { key: "start", title: "May begin", sort: (row) => row.estimated_start, cell: (row) => (row.estimated_start ? moment(row.estimated_start) : "–") },
    ],
  });
  return {
    element: found.element,
    async refresh() {
      const jobs = await all("/v1/fine_tuning/jobs", MANY);
      const open = jobs.filter((job) => !["succeeded", "failed", "cancelled"].includes(job.status));
      // Only a job by itself says when it may begin.
      const few = open.slice(0, 20);
      const whole = await Promise.all(few.map((job) => get(`/v1/fine_tuning/jobs/${job.id}`)));
      found.update([...whole, ...open.slice(few.length)].toSorted((a, b) => (a.queue_position ?? -1) - (b.queue_position ?? -1)));
    },
  };
}
