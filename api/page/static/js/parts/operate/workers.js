// The workers that run: how much each can do, and what it does.

import { get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago } from "../../core/format.js";
import { poll } from "../../core/poll.js";
import { failure } from "../../core/start.js";
import { keepPlace } from "../keep_place.js";
import { table } from "../table.js";

const EVERY = 3000; // milliseconds

export function workers(view) {
  const [summary, wrong] = [h("p"), h("div")];
  const list = table({
    caption: "Workers, oldest first",
    name: "worker-",
    empty: "No worker runs, so every job waits. Start one with `lipsum worker` on a machine that reaches the database and the object store.",
    columns: [
      { key: "id", title: "Worker", sort: (worker) => worker.id, cell: (worker) => h("span", { class: "code" }, worker.id) },
      {
        key: "slots",
        title: "Slots",
        number: true,
        sort: (worker) => worker.slots,
        cell: (worker) => `${worker.jobs.length} of ${worker.slots} busy`,
      },
      {
        key: "labels",
        title: "Labels",
        cell: (worker) => (worker.labels.length ? worker.labels.map((label) => [h("span", { class: "badge" }, label), " "]) : "–"),
      },
      {
        key: "jobs",
        title: "Runs",
        cell: (worker) => (worker.jobs.length ? worker.jobs.map(
          (id) => h("div", {}, h("a", { href: `/jobs/${encodeURIComponent(id)}` }, id)),
        ) : h("span", { class: "muted" }, "nothing")),
      },
      { key: "seen", title: "Heard of", sort: (worker) => -worker.seen_at, cell: (worker) => ago(worker.seen_at) },
      { key: "since", title: "Since", sort: (worker) => worker.created_at, cell: (worker) => ago(worker.created_at) },
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
      "A worker that was not heard of for the length of a lease is left out; its jobs go to others. A job of another project can be named here, and opened only by a key of that project.",
    ),
  );
  poll(
    async () => {
      const { data } = await get("/v1/workers");
      const busy = data.reduce((sum, worker) => sum + worker.jobs.length, 0);
      const slots = data.reduce((sum, worker) => sum + worker.slots, 0);
      show(summary, data.length > 0 && `${data.length} ${data.length === 1 ? "worker" : "workers"}, ${busy} of ${slots} slots busy.`);
      keepPlace(list.element, () => list.update(data));
    },
    EVERY,
    (error) => show(wrong, error && failure(error)),
  );
}
