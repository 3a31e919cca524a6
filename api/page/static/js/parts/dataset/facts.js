// What a data set is, and the files that hold it.

import { ask } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { bytes, count, moment } from "../../core/format.js";
import { dialog } from "../dialog.js";

const LAST = "With its only file the data set is gone from here. Jobs that used it stay as they are.";

/** `deleting()` is called before a file is; without it none can be. */
export function facts(dataset, deleting) {
  const rows = [
    ["Images", count(dataset.images)],
    ["Size", `${bytes(dataset.bytes)}, ${dataset.format}`],
    ["Came", moment(dataset.created_at)],
    ["Check", dataset.status === "checked" ? `every image was read, ${moment(dataset.checked_at)}` : "not yet; its first job reads every image"],
    ["Version", h("span", { class: "code" }, dataset.id)],
    [dataset.files.length === 1 ? "File" : "Files", dataset.files.map((file) => fileRow(dataset, file, deleting))],
    dataset.templates && ["Templates", dataset.templates.map((each) => h("div", {}, each))],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function fileRow(dataset, file, deleting) {
  const confirm = () => remove(dataset, file, deleting);
  return h(
    "div",
    { class: "file" },
    h("a", { class: "code", href: `/v1/files/${file}/content`, download: "" }, file),
    deleting && h("button", { type: "button", class: "danger", "aria-label": `Delete ${file}`, onclick: confirm }, "Delete"),
  );
}

function remove(dataset, file, deleting) {
  const isLast = dataset.files.length === 1;
  const words = isLast ? LAST : "The data set stays: another file holds the same.";
  const work = async () => {
    deleting();
    await ask("DELETE", `/v1/files/${file}`);
    if (isLast) location.assign("/datasets");
    else location.reload();
  };
  return dialog({ title: `Delete ${file}?`, content: h("p", {}, words), action: "Delete it", danger: true, work });
}
