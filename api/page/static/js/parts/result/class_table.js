// Every class of a split by how it changed against zero-shot, those that lost most first.

import { h } from "../../core/dom.js";
import { count, percent, points } from "../../core/format.js";
import { table } from "../table.js";

const LOOK = { worse: "bad", better: "good" };

/** `chosen` is the class whose images are shown; `choose(name)` is told of another. */
export function classTable(classes, chosen, choose) {
  const rows = classes.map((each) => ({ ...each, change: (each.right_after - each.right_before) / each.images }));
  const [better, worse] = [rows.filter((row) => row.change > 0).length, rows.filter((row) => row.change < 0).length];
  const view = table({
    caption: "Classes, by change against zero-shot",
    name: "class-",
    columns: [
      { key: "class", title: "Class", sort: (row) => row.label, cell: (row) => h("button", { type: "button", class: "quiet", "aria-pressed": String(row.label === chosen), onclick: () => choose(row.label === chosen ? null : row.label) }, row.label) },
      { key: "images", title: "Images", number: true, sort: (row) => row.images, cell: (row) => count(row.images) },
      { key: "before", title: "Zero-shot", number: true, sort: (row) => row.right_before / row.images, cell: (row) => percent(row.right_before / row.images) },
      { key: "after", title: "This model", number: true, sort: (row) => row.right_after / row.images, cell: (row) => percent(row.right_after / row.images) },
      { key: "change", title: "Change", number: true, sort: (row) => row.change, cell: (row) => changed(row.change) },
    ],
  });
  view.update(rows.toSorted((a, b) => a.change - b.change));
  return [h("h3", {}, `Classes: ${better} better, ${worse} worse, ${rows.length - better - worse} the same`), h("div", { class: "classes" }, view.element)];
}

function changed(change) {
  const word = change < 0 ? "worse" : change > 0 ? "better" : "";
  return h("span", { class: LOOK[word] }, points(change), word && ` ${word}`);
}
