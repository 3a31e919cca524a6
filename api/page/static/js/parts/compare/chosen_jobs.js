// Choosing finished jobs and seeing them side by side.

import { all, get } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { read, write } from "../../core/urlstate.js";
import { attempt } from "../attempt.js";
import { field, select, tick } from "../fields.js";
import { METRICS } from "../result/metrics.js";
import { jobChoice } from "./choice.js";
import { columnOf, distinct, metricsOf, zeroShotOf } from "./columns.js";
import { sideBySide } from "./side_by_side.js";

const MANY = 1000; // jobs to choose from

export async function chosenJobs() {
  const jobs = (await all("/v1/fine_tuning/jobs", MANY)).filter((job) => job.status === "succeeded" && job.fine_tuned_model);
  const [wrong, table, controls] = [h("div", { "aria-live": "polite" }), h("div"), h("div", { class: "filters" })];
  const asked = new Map(); // columns by job
  let chosen = [...new Set((read("jobs") ?? "").split(",").filter(Boolean))];

  const choice = jobChoice(jobs, chosen, (id, isChosen) => become(isChosen ? [...chosen, id] : chosen.filter((each) => each !== id)));
  const zero = tick("zero", "Set against zero-shot", read("zero") === "1", (isWanted) => {
    write({ zero: isWanted ? "1" : null });
    draw();
  });

  async function become(ids) {
    chosen = ids;
    write({ jobs: chosen.join(",") });
    choice.update(chosen);
    await load();
  }

  async function load() {
    const wanted = chosen;
    await attempt(async () => {
      const asking = wanted.filter((id) => !asked.has(id)).map(
        async (id) => asked.set(id, columnOf(await get(`/v1/fine_tuning/jobs/${encodeURIComponent(id)}`))),
      );
      const refused = (await Promise.allSettled(asking)).find((each) => each.status === "rejected");
      if (refused) throw refused.reason; // the others are shown all the same
    }, { wrong });
    if (wanted === chosen) draw();
  }

  function draw() {
    const columns = chosen.map((id) => asked.get(id)).filter(Boolean);
    const measured = distinct(columns.filter((column) => column.results.models.length));
    const without = columns.filter((column) => !column.results.models.length);
    if (!measured.length) {
      show(controls);
      return show(
        table,
        without.map(noResult),
        h(
          "p",
          { class: "empty" },
          jobs.length ? "Tick two or more jobs above to see them side by side." : [
            "No job has finished yet. ",
            h("a", { href: "/jobs/new" }, "Make one"),
            ", or start a comparison below.",
          ],
        ),
      );
    }
    const metrics = metricsOf(measured, Object.keys(METRICS));
    const metric = metrics.includes(read("metric")) ? read("metric") : metrics[0];
    const shown = zero.box.checked && measured[0].reference ? [zeroShotOf(measured[0]), ...measured] : measured;
    if (!controls.childElementCount) show(
      controls,
      field(
        "Metric",
        select("metric", metrics.map((each) => [each, METRICS[each].title]), metric, (name) => (write({ metric: name }), draw())),
      ),
      zero.element,
    );
    announce(`${shown.length} models side by side`);
    return show(
      table,
      without.map(noResult),
      h("ol", { class: "chosen" }, measured.map(line)),
      differing(measured),
      sideBySide(shown, metric),
    );
  }

  function line(column, place) {
    const { id, title, job } = column;
    const button = (text, what, work) => h(
      "button",
      { type: "button", class: "quiet", "aria-label": `${what} ${title}`, onclick: work },
      text,
    );
    return h(
      "li",
      {},
      h("a", { href: `/jobs/${id}/result` }, title),
      h("span", { class: "muted small" }, ` ${job.method.type} on ${job.model}${job.n_seeds > 1 ? `, ${job.n_seeds} seeds` : ""} `),
      place === 0 ? !zero.box.checked && h("span", { class: "muted small" }, "the reference ") : button(
        "Make it the reference",
        "Reference:",
        () => become([id, ...chosen.filter((each) => each !== id)]),
      ),
      button("Remove", "Remove", () => become(chosen.filter((each) => each !== id))),
    );
  }

  await load();
  return h("section", { class: "card" }, h("h2", {}, "Jobs side by side"), choice.element, wrong, controls, table);
}

const noResult = (column) => h(
  "p",
  { class: "notice" },
  h("a", { href: `/jobs/${column.id}` }, column.title),
  ` is ${column.job.status} and has no result yet.`,
);

// What a reader has to know before taking a difference for one of methods.
function differing(columns) {
  const differ = (of) => new Set(columns.map((column) => of(column.job))).size > 1;
  const what = [differ((job) => job.training_file) && "training files", differ((job) => job.theta0) && "bases"].filter(Boolean);
  return what.length > 0 && h(
    "p",
    { class: "notice" },
    `These jobs differ in their ${what.join(" and ")}: splits of one name may hold different images, and zero-shot is the first one's.`,
  );
}
