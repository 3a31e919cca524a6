// Which images a job is about: the data set, what else it is scored on, and the base.

import { h, show } from "../../core/dom.js";
import { count } from "../../core/format.js";

const OWN = ["train", "val", "test"];

/** A data set among those of the project, and what is in it. */
export function datasetChoice(datasets, state, change) {
  const facts = h("div", { id: "dataset-facts" });
  const tell = () => {
    const found = datasets.find((dataset) => dataset.files.includes(state.file));
    const shifted = found?.splits.filter((split) => !OWN.includes(split)) ?? [];
    show(
      facts,
      found &&
        h(
          "p",
          { class: "muted small" },
          `${count(found.images)} images of ${count(found.classes)} classes in ${found.splits.join(", ")}. `,
          shifted.length ? `Shifted: ${shifted.join(", ")}.` : "It has no shifted split: built-in corruptions, below, can stand in for one.",
        ),
    );
  };
  const select = h(
    "select",
    { id: "file", dataset: { param: "training_file" }, "aria-describedby": "dataset-facts", onchange: () => (change({ file: select.value }), tell()) },
    h("option", { value: "" }, datasets.length ? "Choose one" : "There is none yet"),
    datasets.map((dataset) => h("option", { value: fileOf(dataset, state.file) }, `${dataset.filename} · ${count(dataset.images)} images · ${dataset.id.slice(0, 8)}`)),
  );
  select.value = state.file;
  tell();
  return h("div", {}, h("label", { for: "file" }, "Data set"), select, facts, datasets.length === 0 && h("p", {}, h("a", { href: "/datasets" }, "Upload a folder of images"), " first."));
}

/** A base, or a model that was fine-tuned before. */
export function modelChoice(models, state, change) {
  const bases = models.filter((model) => model.kind === "base");
  const tuned = models.filter((model) => model.kind === "fine_tuned");
  const group = (label, found) => found.length > 0 && h("optgroup", { label }, found.map((model) => h("option", { value: model.id }, model.id)));
  const select = h("select", { id: "model", dataset: { param: "model" }, onchange: () => change({ model: select.value }) }, h("option", { value: "" }, "Choose one"), group("Bases", bases), group("Fine-tuned", tuned));
  select.value = state.model;
  return h(
    "div",
    {},
    h("label", { for: "model" }, "Base"),
    select,
    bases.length === 0 && h("p", { class: "muted small" }, "No base is registered; the operator adds them with `lipsum base add`."),
  );
}

/** Shifted splits that come as files of their own. */
export function splitChoice(datasets, state, change) {
  const rows = h("div");
  const update = (index, values) => change({ splits: state.splits.map((split, at) => (at === index ? { ...split, ...values } : split)) });
  const draw = () =>
    show(
      rows,
      state.splits.map((split, index) => {
        const name = h("input", { id: `split-name-${index}`, value: split.name, dataset: { param: `evaluation.splits.${index}.name` }, oninput: () => update(index, { name: name.value }) });
        const file = h(
          "select",
          { id: `split-file-${index}`, dataset: { param: `evaluation.splits.${index}.file` }, onchange: () => update(index, { file: file.value }) },
          h("option", { value: "" }, "Choose one"),
          datasets.map((dataset) => h("option", { value: fileOf(dataset, split.file) }, `${dataset.filename} · ${dataset.id.slice(0, 8)}`)),
        );
        file.value = split.file;
        const selection = h("input", { type: "checkbox", id: `split-selection-${index}`, checked: split.selection, onchange: () => update(index, { selection: selection.checked }) });
        return h(
          "div",
          { class: "split" },
          h("div", {}, h("label", { for: name.id }, "Split's name"), name),
          h("div", {}, h("label", { for: file.id }, "File"), file),
          h("label", { class: "inline", for: selection.id }, selection, "helps to choose the checkpoint"),
          h("button", { type: "button", class: "quiet", onclick: () => (change({ splits: state.splits.filter((_, at) => at !== index) }), draw()) }, "Remove"),
        );
      }),
    );
  draw();
  const add = h("button", { type: "button", class: "quiet", onclick: () => (change({ splits: [...state.splits, { name: "", file: "", selection: false }] }), draw()) }, "Add a shifted split from another file");
  return h("div", { dataset: { param: "evaluation.splits" } }, rows, add);
}

// Of equal archives any file will do: the one that was asked for, if it is among them.
const fileOf = (dataset, wanted) => (dataset.files.includes(wanted) ? wanted : dataset.files[0]);
