// One data set: its splits and classes, what it looks like, what is wrong with it, and what uses it.

import { all, get } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { several } from "../core/format.js";
import { poll } from "../core/poll.js";
import { failure, may, page, title } from "../core/start.js";
import { segment } from "../core/urlstate.js";
import { classTable } from "../parts/dataset/class_table.js";
import { contactSheets } from "../parts/dataset/contact_sheets.js";
import { facts } from "../parts/dataset/facts.js";
import { findings } from "../parts/dataset/findings.js";
import { jobsWith, usesOf } from "../parts/dataset/jobs.js";
import { groupTable, splitTable } from "../parts/dataset/split_table.js";
import { keepPlace } from "../parts/keep_place.js";

const EVERY = 5000; // milliseconds, until it is checked
const NEWEST = 100; // jobs

page(async (view, session) => {
  const path = `/v1/datasets/${encodeURIComponent(segment("/datasets/{}"))}`;
  const first = await get(path);
  title(first.filename);
  const trouble = h("div");
  const [about, found, splits, groups, jobs] = ["What it is", "What was found", "Splits", "Groups", "Jobs with it"].map((name) => card(name));
  const classes = classTable(first);
  let drawn = null;
  let stop = () => {}; // asking again

  async function look() {
    const [dataset, newest] = await Promise.all([get(path), may(session, "jobs:read") ? all("/v1/fine_tuning/jobs", NEWEST) : []]);
    const uses = usesOf(dataset, newest);
    const now = JSON.stringify([dataset, uses.map((job) => [job.id, job.status])]); // a job's progress is not shown
    if (now !== drawn) keepPlace(view, () => draw(dataset, uses));
    drawn = now;
    return dataset.status !== "checked"; // nothing changes then
  }

  function draw(dataset, uses) {
    show(about.body, facts(dataset, may(session, "files:write") && (() => stop())));
    show(found.body, findings(dataset, uses));
    show(splits.body, splitTable(dataset));
    show(groups.body, groupTable(dataset));
    show(jobs.body, jobsWith(uses));
    groups.element.hidden = !dataset.groups.length;
    jobs.element.hidden = !may(session, "jobs:read");
    classes.update(dataset);
  }

  const changes = await look();
  show(
    view,
    may(session, "jobs:write") && h("div", { class: "actions" }, h("a", { class: "button", href: `/jobs/new?file=${first.files[0]}` }, "New job with this")),
    trouble,
    h("div", { class: "columns" }, about.element, found.element),
    splits.element,
    groups.element,
    h("section", { class: "card" }, h("h2", {}, "What it looks like"), contactSheets(first)),
    h("section", { class: "card" }, h("h2", {}, several(first.classes.length, "class", "classes")), classes.element),
    jobs.element,
  );
  if (changes) stop = poll(look, EVERY, (error) => show(trouble, error && failure(error)));
});

function card(name) {
  const body = h("div");
  return { body, element: h("section", { class: "card" }, h("h2", {}, name), body) };
}
