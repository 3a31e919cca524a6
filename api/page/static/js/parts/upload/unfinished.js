// Uploads that were begun and not finished: the browser forgot the files, the service has what arrived.

import { ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago, bytes, several } from "../../core/format.js";
import { failure } from "../../core/start.js";
import { dialog } from "../dialog.js";
import { partsOf, pending } from "./parts.js";
import { isKnown } from "./refusal.js";
import { forget, isBeingSent, remembered } from "./remembered.js";

/** {element, refresh()}. `choose(kind, upload)` asks for the same again; `isOurs(id)` is what this tab sends. */
export function unfinishedUploads({ choose, isOurs }) {
  const element = h("div");

  async function refresh() {
    try {
      const uploads = (await pending()).filter((upload) => !isOurs(upload.id));
      const rows = await Promise.all(uploads.map(row));
      const section = () => h("section", { class: "notice", "aria-label": "Not finished" }, h("h2", {}, "Not finished"), h("ul", { class: "unfinished" }, rows));
      show(element, rows.length > 0 && section());
    } catch (error) {
      show(element, failure(error));
      if (!isKnown(error)) throw error;
    }
  }

  async function row(upload) {
    const [parts, isBusy] = await Promise.all([partsOf(upload), isBeingSent(upload.id)]);
    const there = parts.reduce((sum, part) => sum + part.bytes, 0);
    const before = remembered(upload.id);
    const files = before?.folder ? `, of ${several(before.files, "file")}` : "";
    const where = before ? "" : " in another place, by lipsum push perhaps";
    return h(
      "li",
      {},
      h("strong", {}, upload.filename),
      h("div", { class: "muted small" }, `${bytes(there)} of ${bytes(upload.bytes)} arrived${files}; begun ${ago(upload.created_at)}${where}.`),
      isBusy ? h("p", { class: "small" }, "It is being sent in another tab.") : h("div", { class: "actions" }, ways(upload, before)),
    );
  }

  function ways(upload, before) {
    const mayBe = { folder: before ? before.folder : upload.filename.endsWith(".zip"), archive: !before?.folder };
    const again = (kind) => mayBe[kind] && h("button", { type: "button", class: "quiet", onclick: () => choose(kind, upload) }, `Choose the same ${kind} to go on`);
    const name = { "aria-label": `Discard ${upload.filename}` };
    return [again("folder"), again("archive"), h("button", { type: "button", class: "danger", onclick: () => discard(upload), ...name }, "Discard")];
  }

  function discard(upload) {
    const work = async () => {
      await ask("POST", `/v1/uploads/${upload.id}/cancel`);
      forget(upload.id);
      await refresh();
    };
    const content = h("p", {}, "What arrived is thrown away, and whoever sends it has to begin again.");
    return dialog({ title: `Discard ${upload.filename}?`, content, action: "Discard it", danger: true, work });
  }

  return { element, refresh };
}
