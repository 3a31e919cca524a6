// One data set: its splits and classes, what it looks like, and what is wrong with it.

import { get } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { bytes, count, moment } from "../core/format.js";
import { page, title } from "../core/start.js";
import { segment } from "../core/urlstate.js";
import { table } from "../parts/table.js";

page(async (view) => {
  const dataset = await get(`/v1/datasets/${encodeURIComponent(segment("/datasets/{}"))}`);
  title(dataset.filename);
  const classes = classTable(dataset);
  show(
    view,
    h("div", { class: "actions" }, h("a", { class: "button", href: `/jobs/new?file=${dataset.files[0]}` }, "New job with this")),
    h("div", { class: "columns" }, h("section", { class: "card" }, h("h2", {}, "What it is"), facts(dataset)), h("section", { class: "card" }, h("h2", {}, "What was found"), findings(dataset))),
    h("section", { class: "card" }, h("h2", {}, "What it looks like"), dataset.splits.map((split) => contactSheet(dataset, split))),
    h("section", { class: "card" }, h("h2", {}, `${count(dataset.classes.length)} classes`), classes.element),
  );
  classes.draw();
});

function facts(dataset) {
  const rows = [
    ["Images", count(dataset.images)],
    ["Splits", dataset.splits.map((split) => h("div", {}, `${split.name}: ${count(split.images)}`, ["train", "val", "test"].includes(split.name) ? "" : h("span", { class: "muted" }, " shifted")))],
    ["Size", `${bytes(dataset.bytes)}, ${dataset.format}`],
    ["Came", moment(dataset.created_at)],
    ["Version", h("span", { class: "code" }, dataset.id)],
    ["Files", dataset.files.map((file) => h("div", {}, h("a", { href: `/v1/files/${file}/content`, download: "" }, file)))],
    dataset.templates && ["Templates", dataset.templates.map((each) => h("div", {}, each))],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function findings(dataset) {
  if (dataset.status !== "checked") return h("p", { class: "muted" }, "Its first job reads every image once; until then only names and sizes are known.");
  const { duplicates, rejected, rejected_count: bad } = dataset;
  const found = [
    bad > 0 && fault(`${count(bad)} images cannot be read`, "They are skipped; above one in a hundred a job refuses the data set.", (rejected ?? []).map((each) => `${each.file}: ${each.reason}`)),
    duplicates?.across_splits_count > 0 && fault(`${count(duplicates.across_splits_count)} images are in two splits`, "A score on them says nothing. Take them out of one of the splits.", duplicates.across_splits.map((group) => group.join(" = "))),
    duplicates?.conflicting_labels_count > 0 && fault(`${count(duplicates.conflicting_labels_count)} images have two labels`, "One of them is wrong.", duplicates.conflicting_labels.map((group) => group.join(" = "))),
    duplicates?.repeated_count > 0 && h("p", {}, `${count(duplicates.repeated_count)} images are there more than once in one class, which is harmless.`),
    dataset.splits.some((split) => split.empty_classes.length) && fault("Class folders without an image", "", dataset.splits.flatMap((split) => split.empty_classes.map((name) => `${split.name}/${name}`))),
  ].filter(Boolean);
  return found.length ? found : h("p", { class: "good" }, "Every image can be read, none is in two splits or has two labels.");
}

function fault(what, advice, names) {
  return h("div", {}, h("p", {}, h("strong", { class: "warn" }, what), advice && `. ${advice}`), h("details", {}, h("summary", {}, "Which"), h("ul", { class: "names" }, names.map((name) => h("li", { class: "code" }, name)))));
}

function contactSheet(dataset, split) {
  const box = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Pictures of ${split.name}` });
  const details = h("details", {}, h("summary", {}, `${split.name}, ${count(split.images)} images`), box);
  details.addEventListener("toggle", () => {
    if (!details.open || box.firstChild) return;
    const wait = h("p", { class: "muted" }, "It is being drawn.");
    const image = h("img", { class: "sheet", src: `/v1/datasets/${dataset.id}/contact-sheet?split=${encodeURIComponent(split.name)}`, alt: `Contact sheet of ${split.name}: some images of each class, by class` });
    image.addEventListener("load", () => wait.remove());
    image.addEventListener("error", () => show(box, h("p", { class: "bad" }, "The picture cannot be had; try again later.")));
    show(box, wait, image);
  });
  return details;
}

function classTable(dataset) {
  const counts = new Map(dataset.splits.map((split) => [split.name, new Map(split.classes.map((each) => [each.name, each.images]))]));
  const readable = dataset.readable_names ?? {};
  const view = table({
    caption: "Images of each class in each split",
    columns: [
      { key: "class", title: "Class", sort: (row) => row, cell: (row) => [row, readable[row] && readable[row] !== row && h("div", { class: "muted" }, readable[row])] },
      ...dataset.splits.map((split) => ({
        key: split.name,
        title: split.name,
        number: true,
        sort: (row) => counts.get(split.name).get(row) ?? 0,
        cell: (row) => count(counts.get(split.name).get(row) ?? 0),
      })),
    ],
  });
  return { element: view.element, draw: () => view.update(dataset.classes) };
}
