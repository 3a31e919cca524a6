// What is wrong with a data set, what follows from it, and what to do. Names are known when it comes;
// what is in the images once its first job has read them.

import { h } from "../../core/dom.js";
import { count, several } from "../../core/format.js";

const TRAIN = "train";

export function findings(dataset, uses) {
  const found = [...(dataset.status === "checked" ? ofImages(dataset) : []), ...ofNames(dataset)];
  const isWell = dataset.status === "checked" && !found.some((each) => each.isBad);
  return [
    dataset.status !== "checked" && notChecked(uses),
    isWell && h("p", { class: "good" }, "Every image can be read, none is in two splits and none has two labels."),
    found.map((each) => each.element),
  ];
}

function notChecked(uses) {
  const failed = uses.find((job) => job.status_reason === "invalid_dataset");
  if (failed)
    return h(
      "div",
      { class: "error" },
      h("p", {}, h("strong", {}, "Its check failed. The data set is the cause.")),
      h("p", {}, failed.error?.message ?? ""),
      h("p", {}, "Mend what is named and upload it again. ", h("a", { href: `/jobs/${failed.id}` }, "The job that read it")),
    );
  const reading = uses.find((job) => job.status === "validating_files" || job.status === "running");
  if (reading) return h("p", {}, "It is being read by ", h("a", { href: `/jobs/${reading.id}` }, reading.suffix ?? reading.id), ". What is found appears here.");
  return h("p", { class: "muted" }, "Names and sizes are in order. Its first job reads every image once; unreadable files and duplicates are known then.");
}

function ofNames(dataset) {
  const train = dataset.splits.find((split) => split.name === TRAIN);
  const trained = new Set(dataset.classes);
  const within = (split, names) => names.map((name) => `${split.name}/${name}`);
  const unknown = dataset.splits.flatMap((split) => within(split, split.classes.map((each) => each.name).filter((name) => !trained.has(name))));
  const empty = dataset.splits.flatMap((split) => within(split, split.empty_classes));
  const others = dataset.ignored_count;
  return [
    !train && plain("There is no train among its splits, so it can be scored and not trained on."),
    train && train.classes.length < 2 && bad("There is only one class to train on", "At least two are needed, each in a folder of its own."),
    unknown.length &&
      bad(
        several(unknown.length, "class folder is not trained on", "class folders are not trained on"),
        "Their splits cannot be scored. Name them as in train, or leave them out.",
        unknown,
      ),
    empty.length &&
      bad(several(empty.length, "class folder has no image", "class folders have no image"), "Fill them or remove them; in train a job refuses them.", empty),
    others && plain(several(others, "file is no image and is passed over.", "files are no images and are passed over."), dataset.ignored, others),
  ].filter(Boolean);
}

function ofImages({ duplicates, rejected, rejected_count: unreadable }) {
  const { across_splits_count: across, conflicting_labels_count: conflicting, repeated_count: repeated } = duplicates ?? {};
  return [
    unreadable &&
      bad(
        several(unreadable, "file cannot be read", "files cannot be read"),
        "A job passes over a few such files. Replace them or take them out.",
        (rejected ?? []).map((each) => [h("span", { class: "code" }, each.file), h("div", {}, each.reason)]),
        unreadable,
      ),
    across &&
      bad(
        several(across, "image is in two splits", "images are in two splits"),
        "A score on an image that was trained on says nothing, and a job refuses it. Take it out of one.",
        duplicates.across_splits.map(same),
        across,
      ),
    conflicting &&
      bad(
        several(conflicting, "image has two labels", "images have two labels"),
        "One of the two is wrong.",
        duplicates.conflicting_labels.map(same),
        conflicting,
      ),
    repeated && plain(`${several(repeated, "image is there again in its class", "images are there again in their class")}, which does no harm.`),
  ].filter(Boolean);
}

const same = (group) => group.map((name, at) => h("div", { class: "code" }, at ? `= ${name}` : name));

function bad(what, advice, items = [], total = items.length) {
  return { isBad: true, element: entry([h("strong", { class: "warn" }, what), `. ${advice}`], items, total) };
}

function plain(text, items = [], total = items.length) {
  return { isBad: false, element: entry([text], items, total) };
}

function entry(text, items, total) {
  return h(
    "div",
    { class: "finding" },
    h("p", {}, text),
    items.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, items.length < total ? `The first ${count(items.length)}` : "Which"),
        h("ul", { class: "names", tabindex: "0", "aria-label": "Which" }, items.map((item) => h("li", {}, item))),
      ),
  );
}
