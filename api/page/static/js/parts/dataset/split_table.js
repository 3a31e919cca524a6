// The splits of a data set, how large each is and how even; and its groups, where it has any.

import { h } from "../../core/dom.js";
import { count } from "../../core/format.js";

const OWN = { train: "trained on", val: "validation", test: "in distribution" };

export function splitTable(dataset) {
  const rows = dataset.splits.map((split) => {
    const sizes = split.classes.map((each) => each.images);
    const [fewest, most] = [Math.min(...sizes), Math.max(...sizes)];
    const each = fewest === most ? count(fewest) : `${count(fewest)} to ${count(most)}`;
    return [split.name, OWN[split.name] ?? "shifted", count(split.images), count(split.classes.length), each];
  });
  return plainTable("Splits", ["Split", "What it is", "Images", "Classes", "Images of a class"], rows, 2);
}

/** Images of each group in each split; known once it is checked. */
export function groupTable(dataset) {
  const of = (split, group) => split.groups.find((each) => each.name === group)?.images ?? 0;
  if (dataset.status !== "checked") return h("p", { class: "muted" }, `${dataset.groups.join(", ")}; they are counted when its images are read.`);
  const rows = dataset.groups.map((group) => [group, ...dataset.splits.map((split) => count(of(split, group)))]);
  return plainTable("Images of each group in each split", ["Group", ...dataset.splits.map((split) => split.name)], rows, 1);
}

function plainTable(caption, titles, rows, firstNumber) {
  const look = (at) => at >= firstNumber && "number";
  const heading = (text, at) => h("th", { scope: "col", role: "columnheader", class: look(at) }, text);
  const cell = (text, at) => h("td", { role: "cell", class: look(at), dataset: { title: titles[at] } }, h("div", {}, text));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { class: "stacks", role: "table" },
      h("caption", { class: "sr-only" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, titles.map(heading))),
      h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" }, row.map(cell)))),
    ),
  );
}
