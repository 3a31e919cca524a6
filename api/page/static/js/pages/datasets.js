// The project's data sets, and how another one comes to them.

import { all, get } from "../core/api.js";
import { announce, h, show } from "../core/dom.js";
import { ago, bytes, count, several } from "../core/format.js";
import { poll } from "../core/poll.js";
import { failure, may, page } from "../core/start.js";
import { read, write } from "../core/urlstate.js";
import { keepPlace } from "../parts/keep_place.js";
import { table } from "../parts/table.js";
import { uploadView } from "../parts/upload/view.js";

const MANY = 2000; // data sets
const EVERY = 10_000; // milliseconds; a first job checks one

page(async (view, session) => {
  // A link may know only the file: its data set has a page of its own.
  const file = read("file");
  if (file) {
    const found = await get(`/v1/files/${encodeURIComponent(file)}`);
    if (found.dataset) return location.replace(`/datasets/${found.dataset.version}`);
  }

  const mayUpload = may(session, "files:write");
  const next = mayUpload ? "Drop a folder of images above." : "Ask somebody whose key may upload.";
  const search = h("input", { id: "search", type: "search", value: read("q", ""), placeholder: "name, split, id, unreadable" });
  const filters = h("div", { class: "filters" }, h("div", {}, h("label", { for: "search" }, "Filter"), search));
  const nothing = h("span");
  const trouble = h("div");
  const more = h("p", { class: "muted", hidden: true }, `These are the newest ${count(MANY)}.`);
  const found = table({ caption: "Data sets, newest first", empty: nothing, columns: COLUMNS });
  let datasets = [];

  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = datasets.filter((row) => words.every((word) => textOf(row).includes(word)));
    filters.hidden = !datasets.length;
    show(nothing, datasets.length ? "No data set matches the filter." : `No data set yet. ${next}`);
    keepPlace(found.element, () => found.update(matching));
    return matching.length;
  };
  search.addEventListener("input", () => {
    write({ q: search.value });
    announce(several(draw(), "data set"));
  });

  async function refresh() {
    const fresh = await all("/v1/datasets", MANY);
    more.hidden = fresh.length < MANY;
    if (JSON.stringify(fresh) === JSON.stringify(datasets) && datasets.length) return;
    datasets = fresh;
    draw();
  }

  const upload = mayUpload && uploadView((made) => {
    if (made.dataset) location.assign(`/datasets/${made.dataset.version}`);
  });
  const refused = h("p", { class: "notice" }, "Your key may not upload; it needs the scope files:write.");
  show(view, upload ? upload.element : refused, h("h2", {}, "Your data sets"), filters, trouble, found.element, more);
  await refresh();
  if (upload) await upload.refresh();
  poll(refresh, EVERY, (error) => show(trouble, error && failure(error)));
});

const COLUMNS = [
  { key: "name", title: "Name", sort: (row) => row.filename, cell: nameOf },
  { key: "images", title: "Images", number: true, sort: (row) => row.images, cell: (row) => count(row.images) },
  { key: "classes", title: "Classes", number: true, sort: (row) => row.classes, cell: (row) => count(row.classes) },
  { key: "splits", title: "Splits", sort: (row) => row.splits.length, cell: (row) => row.splits.join(", ") },
  { key: "bytes", title: "Size", number: true, sort: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
  { key: "status", title: "Check", sort: (row) => row.rejected_count, cell: checkOf },
  { key: "created", title: "Came", sort: (row) => -row.created_at, cell: (row) => ago(row.created_at) },
];

function nameOf(row) {
  return [h("a", { href: `/datasets/${row.id}` }, row.filename), h("div", { class: "muted code" }, row.id.slice(0, 12))];
}

function checkOf(row) {
  const said = checkText(row);
  return row.rejected_count ? h("span", { class: "warn" }, said) : h("span", { class: row.status === "checked" ? "good" : "muted" }, said);
}

function checkText(row) {
  if (row.status !== "checked") return "unchecked until its first job";
  return row.rejected_count ? `${count(row.rejected_count)} unreadable` : "all readable";
}

const textOf = (row) => `${row.filename} ${row.id} ${row.splits.join(" ")} ${row.format} ${checkText(row)}`.toLowerCase();
