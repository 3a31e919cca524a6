// The project's data sets, and how another one comes to them.

import { all, get } from "../core/api.js";
import { announce, h, show } from "../core/dom.js";
import { ago, bytes, count } from "../core/format.js";
import { may, page } from "../core/start.js";
import { read, write } from "../core/urlstate.js";
import { table } from "../parts/table.js";
import { unfinished, uploadView } from "../parts/upload/view.js";

const MANY = 1000;

page(async (view, session) => {
  // A link may know only the file: its data set has a page of its own.
  const file = read("file");
  if (file) {
    const found = await get(`/v1/files/${encodeURIComponent(file)}`);
    if (found.dataset) return location.replace(`/datasets/${found.dataset.version}`);
  }

  const search = h("input", { id: "search", type: "search", value: read("q", "") });
  const pending = h("div");
  let datasets = [];
  const found = table({
    caption: "Data sets, newest first",
    empty: "No data set yet. Drop a folder of images above.",
    columns: [
      { key: "name", title: "Name", sort: (row) => row.filename, cell: (row) => [h("a", { href: `/datasets/${row.id}` }, row.filename), h("div", { class: "muted code" }, row.id.slice(0, 12))] },
      { key: "images", title: "Images", number: true, sort: (row) => row.images, cell: (row) => count(row.images) },
      { key: "classes", title: "Classes", number: true, sort: (row) => row.classes, cell: (row) => count(row.classes) },
      { key: "splits", title: "Splits", cell: (row) => row.splits.join(", ") },
      { key: "bytes", title: "Size", number: true, sort: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
      { key: "status", title: "Images read", sort: (row) => row.status, cell: (row) => (row.status === "checked" ? (row.rejected_count ? h("span", { class: "warn" }, `${count(row.rejected_count)} cannot be read`) : "all can be read") : "by its first job") },
      { key: "created", title: "Came", sort: (row) => -row.created_at, cell: (row) => ago(row.created_at) },
    ],
  });
  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = datasets.filter((row) => words.every((word) => `${row.filename} ${row.id} ${row.splits.join(" ")}`.toLowerCase().includes(word)));
    found.update(matching);
    return matching.length;
  };
  search.addEventListener("input", () => {
    write({ q: search.value });
    announce(`${draw()} data sets`);
  });

  async function refresh() {
    let uploads;
    [datasets, uploads] = await Promise.all([all("/v1/datasets", MANY), all("/v1/uploads?status=pending", 100)]);
    show(pending, unfinished(uploads, refresh));
    draw();
  }

  const upload = uploadView((made) => {
    if (made.dataset) location.assign(`/datasets/${made.dataset.version}`);
    else refresh();
  });
  show(
    view,
    may(session, "files:write") ? upload.element : h("p", { class: "notice" }, "Your key may not upload; it needs the scope files:write."),
    pending,
    h("div", { class: "filters" }, h("div", {}, h("label", { for: "search" }, "Filter"), search)),
    found.element,
  );
  await refresh();
});
