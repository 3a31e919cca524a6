// How many images each class has in each split, quick with a thousand classes too.

import { announce, h } from "../../core/dom.js";
import { count, several } from "../../core/format.js";
import { read, write } from "../../core/urlstate.js";
import { table } from "../table.js";

const FEW = 12; // classes that need no filter

/** {element, update(dataset)}. */
export function classTable({ splits, classes }) {
  const search = h("input", { id: "class-filter", type: "search", value: read("class", "") });
  // By place, since a split may be called anything.
  const ofSplit = (split, at) => {
    const images = (row) => row.images[at];
    return { key: `split${at + 1}`, title: split.name, number: true, sort: images, cell: (row) => number(images(row)) };
  };
  const named = (row) => [row.name, row.readable && h("div", { class: "muted small" }, row.readable)];
  const columns = [{ key: "class", title: "Class", sort: (row) => row.name, cell: named }, ...splits.map(ofSplit)];
  const found = table({ caption: "Images of each class in each split", empty: "No class matches the filter.", columns });
  const filter = h("div", { class: "filters", hidden: classes.length <= FEW }, h("div", {}, h("label", { for: search.id }, "Filter classes"), search));
  let rows = [];
  let drawn = "";

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = rows.filter((row) => words.every((word) => `${row.name} ${row.readable ?? ""}`.toLowerCase().includes(word)));
    found.update(matching);
    return matching.length;
  }
  search.addEventListener("input", () => {
    write({ class: search.value });
    announce(several(draw(), "class", "classes"));
  });

  return {
    element: h("div", { class: "class-counts" }, filter, found.element),
    update(dataset) {
      const now = JSON.stringify(dataset.splits);
      if (now === drawn) return;
      drawn = now;
      rows = rowsOf(dataset);
      draw();
    },
  };
}

// Those that are trained on, in the model's order, then those that only other splits have.
function rowsOf({ classes, readable_names: readable, splits }) {
  const counts = splits.map((split) => new Map(split.classes.map((each) => [each.name, each.images])));
  const others = new Set(counts.flatMap((each) => [...each.keys()]));
  for (const name of classes) others.delete(name);
  return [...classes, ...others].map((name, at) => ({
    name,
    readable: readable?.[at] && readable[at] !== name ? readable[at] : null,
    images: counts.map((each) => each.get(name) ?? 0),
  }));
}

const number = (images) => (images ? count(images) : h("span", { class: "muted" }, "0"));
