// Jobs side by side, and comparisons that the service makes by itself.

import { all, get } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { ago } from "../core/format.js";
import { poll } from "../core/poll.js";
import { failure, page } from "../core/start.js";
import { read, write } from "../core/urlstate.js";
import { comparisonForm, comparisonList } from "../parts/compare/comparisons.js";
import { sideBySide } from "../parts/compare/side_by_side.js";

const MANY = 1000;
const EVERY = 5000; // milliseconds

page(async (view, session) => {
  const [jobs, datasets, models, methods] = await Promise.all([all("/v1/fine_tuning/jobs", MANY), all("/v1/datasets", 200), all("/v1/models", 500), get("/v1/methods")]);
  const finished = jobs.filter((job) => job.status === "succeeded");
  const known = new Set(finished.map((job) => job.id));
  let chosen = read("jobs", "").split(",").filter((id) => known.has(id));
  const [beside, wrong, boxes] = [h("div"), h("div"), h("div", { class: "job-boxes" })];
  const search = h("input", { id: "search", type: "search" });

  async function draw() {
    write({ jobs: chosen.join(",") });
    try {
      await sideBySide(beside, chosen);
    } catch (error) {
      show(beside, failure(error));
    }
  }
  function list() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (job) => `${job.id} ${job.suffix ?? ""} ${job.method.type} ${job.model}`.toLowerCase();
    show(
      boxes,
      finished
        .filter((job) => words.every((word) => text(job).includes(word)))
        .map((job) => {
          const box = h("input", { type: "checkbox", id: `job-${job.id}`, checked: chosen.includes(job.id), onchange: () => {
            chosen = box.checked ? [...chosen, job.id] : chosen.filter((id) => id !== job.id);
            draw();
          } });
          return h("div", {}, h("label", { class: "inline", for: box.id }, box, h("span", {}, `${job.suffix ?? job.id} · ${job.method.type}`, h("span", { class: "muted small" }, ` · ${job.model} · ${ago(job.created_at)}`))));
        }),
    );
  }
  search.addEventListener("input", list);

  const comparisons = comparisonList();
  const begin = comparisonForm(session, datasets, models, methods.data, () => watch());
  show(
    view,
    h("section", { class: "card" }, h("h2", {}, "Jobs side by side"), finished.length ? [h("label", { for: "search" }, "Finished jobs"), search, boxes] : h("p", { class: "muted" }, "No job has finished yet."), beside),
    h("h2", {}, "Comparisons"),
    wrong,
    comparisons.element,
    begin,
  );
  list();
  await draw();
  let stop = () => {};
  const watch = () => {
    stop();
    stop = poll(comparisons.refresh, EVERY, (error) => show(wrong, error && failure(error)));
  };
  watch();
});
