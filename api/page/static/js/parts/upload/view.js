// Where a folder or an archive is dropped, and how far its sending is.

import { ApiError, ask } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { bytes, count, duration } from "../../core/format.js";
import { failure } from "../../core/start.js";
import { FolderZip } from "./folder_zip.js";
import { chosen, dropped } from "./pick.js";
import { send } from "./send.js";

/** {element}: `done(file)` is told the file that came of it. */
export function uploadView(done) {
  const state = h("div", { "aria-live": "off" });
  const wrong = h("div");
  const folder = h("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, id: "choose-folder-input", "aria-label": "Folder of images" });
  const archive = h("input", { type: "file", hidden: true, accept: ".zip,.tar,.gz,.tgz,.zst,.parquet", id: "choose-archive-input", "aria-label": "Archive of images" });
  const area = h(
    "div",
    { class: "drop" },
    h("p", {}, h("strong", {}, "Drop a folder or an archive of images here")),
    h("p", { class: "muted" }, "One folder for each class, within train, test and a folder for each shifted split. ZIP, TAR and Parquet are taken as they are."),
    h("div", { class: "actions center" }, h("button", { type: "button", onclick: () => folder.click() }, "Choose a folder"), h("button", { type: "button", class: "quiet", onclick: () => archive.click() }, "Choose an archive")),
    folder,
    archive,
  );

  for (const input of [folder, archive]) {
    input.addEventListener("change", () => {
      const picked = chosen(input.files);
      input.value = ""; // the same may be chosen again
      take(picked);
    });
  }
  area.addEventListener("dragover", (event) => (event.preventDefault(), area.classList.add("over")));
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", async (event) => {
    event.preventDefault();
    area.classList.remove("over");
    take(await dropped(event.dataTransfer));
  });

  async function take(picked) {
    show(wrong);
    if (!picked) return;
    try {
      const source = picked.file ? archiveOf(picked.file) : zipOf(picked);
      await run(source, picked.left ?? 0);
    } catch (error) {
      area.hidden = false;
      show(state);
      if (error.name === "AbortError") return;
      const known = error instanceof ApiError || !(error instanceof TypeError);
      show(wrong, error instanceof ApiError ? failure(error) : h("div", { class: "error", role: "alert" }, h("p", {}, error.message)));
      if (!known) throw error;
    }
  }

  async function run(source, left) {
    const leaving = new AbortController();
    const warn = (event) => event.preventDefault();
    area.hidden = true;
    addEventListener("beforeunload", warn);
    const bar = h("progress", { max: "1", value: 0, "aria-label": `Sending ${source.name}` });
    const line = h("p", { class: "muted" });
    show(
      state,
      h("section", { class: "card" }, h("h2", {}, source.name), bar, line, left > 0 && h("p", { class: "muted small" }, `${count(left)} files that are no images are left out.`), h("div", { class: "actions" }, h("button", { type: "button", class: "danger", onclick: () => leaving.abort() }, "Stop sending"), h("span", { class: "muted small" }, "What was sent stays for a day: choose the same again to go on."))),
    );
    const began = performance.now();
    announce(`Sending ${source.name}`);
    try {
      const file = await send(source, {
        signal: leaving.signal,
        progress: ({ sent, passed, state: now }) => {
          bar.value = source.size ? sent / source.size : 1;
          show(line, said(source, sent, passed, now, (performance.now() - began) / 1000));
        },
      });
      announce(`${source.name} was sent`);
      show(state);
      area.hidden = false;
      done(file);
    } finally {
      removeEventListener("beforeunload", warn);
    }
  }

  return { element: h("div", {}, area, state, wrong) };
}

/** Uploads that were begun and not finished, with what to do about them. */
export function unfinished(uploads, changed) {
  if (!uploads.length) return null;
  return h(
    "section",
    { class: "notice" },
    h("h2", {}, "Not finished"),
    h(
      "ul",
      {},
      uploads.map((upload) =>
        h(
          "li",
          {},
          `${upload.filename}, ${bytes(upload.bytes)}: choose the same folder or archive again to go on. `,
          h("button", { type: "button", class: "quiet", onclick: async () => (await ask("POST", `/v1/uploads/${upload.id}/cancel`), changed()) }, "Give it up"),
        ),
      ),
    ),
  );
}

const archiveOf = (file) => ({ name: file.name, size: file.size, read: async (start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer()) });

function zipOf(picked) {
  if (!picked.entries.some((entry) => !/\.(json|csv)$/.test(entry.name))) throw new Error(`There is no image in ${picked.name.replace(/\.zip$/, "")}.`);
  return new FolderZip(picked.name, picked.entries);
}

function said(source, sent, passed, now, seconds) {
  if (now === "waiting") return "The connection is lost. What was sent is kept; sending goes on when it is back.";
  if (now === "completing") return "All is there; it is looked through.";
  const rate = (sent - passed) / Math.max(seconds, 0.1);
  const left = rate > 0 ? `, about ${duration((source.size - sent) / rate)} to go` : "";
  return `${bytes(sent)} of ${bytes(source.size)}${rate > 0 ? `, ${bytes(rate)} a second` : ""}${left}${passed ? ` (${bytes(passed)} were there before)` : ""}`;
}
