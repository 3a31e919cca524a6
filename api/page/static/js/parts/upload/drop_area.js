// Where a folder or an archive is dropped or chosen. The whole page takes what is dropped: a browser
// that is not told so would leave it and show the file.

import { h } from "../../core/dom.js";
import { chosen, dropped } from "./pick.js";

const LAYOUT =
  "One folder for each class, inside train, test and one more folder for each shifted split, such as sketch/cat/1.jpg. With class folders alone, all is train.";
const ARCHIVES = ".zip,.tar,.tgz,.gz,.zst,.parquet";

/**
 * {element, focus(), choose(kind, wanted)}. `take(work, wanted)` is called with what makes of it what `pick.js`
 * gives, and with what `choose` was told.
 */
export function dropArea(take) {
  let wanted = null;
  const inputs = {
    folder: h("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, "aria-label": "Folder of images" }),
    archive: h("input", { type: "file", accept: ARCHIVES, hidden: true, "aria-label": "Archive of images" }),
  };
  for (const input of Object.values(inputs)) {
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = ""; // the same may be chosen again
      take(() => chosen(files), wanted);
    });
  }
  const choose = (kind, what = null) => {
    wanted = what;
    inputs[kind].click();
  };

  const element = h(
    "section",
    { class: "drop", "aria-label": "New data set" },
    h("p", {}, h("strong", {}, "Drop a folder or an archive of images here")),
    h("p", { class: "muted" }, LAYOUT),
    h(
      "div",
      { class: "actions center" },
      h("button", { type: "button", onclick: () => choose("folder") }, "Choose folder"),
      h("button", { type: "button", class: "quiet", onclick: () => choose("archive") }, "Choose archive"),
    ),
    h("p", { class: "muted small" }, "Archives: ZIP, TAR (also with gzip or Zstandard) and Parquet. What is sent stays on the service."),
    Object.values(inputs),
  );
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    element.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) element.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    element.classList.remove("over");
    const found = dropped(event.dataTransfer); // now: it is empty a moment later
    found.catch(() => {}); // `take` says it
    take(() => found, null);
  });
  return { element, choose, focus: () => element.querySelector("button").focus() };
}

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
