// Sending a data set: what is dropped or chosen, how far it is, what was not finished, what was refused.

import { announce, h, show } from "../../core/dom.js";
import { bytes, count, several } from "../../core/format.js";
import { dialog } from "../dialog.js";
import { dropArea } from "./drop_area.js";
import { isAs } from "./parts.js";
import { Unusable } from "./reading.js";
import { isKnown, refusalOf } from "./refusal.js";
import { remembered } from "./remembered.js";
import { runningCard } from "./running.js";
import { Sending } from "./send.js";
import { sourceOf } from "./sources.js";
import { unfinishedUploads } from "./unfinished.js";

/** {element, refresh()}: `done(file)` is told the file that came of it. */
export function uploadView(done) {
  const state = h("div");
  const wrong = h("div");
  let isBusy = false;
  let sending = null;
  const area = dropArea(take);
  const unfinished = unfinishedUploads({ choose: area.choose, isOurs: (id) => sending?.upload?.id === id });

  async function take(pick, wanted) {
    show(wrong);
    if (isBusy) return show(wrong, refusalOf(new Unusable("One at a time: the one above is sent first, or cancelled.")));
    isBusy = true;
    area.element.hidden = true;
    show(state, h("p", { class: "muted", role: "status" }, "Looking through it."));
    let name = "It";
    let file = null;
    try {
      const picked = await pick();
      const source = picked && (await sourceOf(picked));
      name = source?.name;
      if (wanted && source) requireSame(source, wanted);
      if (source) file = await send(source);
    } catch (error) {
      show(wrong, refusalOf(error, name));
      if (!isKnown(error)) throw error;
    } finally {
      isBusy = false;
      sending = null;
      const hadFocus = state.contains(document.activeElement);
      area.element.hidden = false;
      show(state);
      if (hadFocus) area.focus();
      unfinished.refresh();
    }
    return file && done(file);
  }

  // The file, or null where it was cancelled.
  async function send(source) {
    const card = runningCard(source, () => sending, () => cancel(source));
    let known = null; // which upload it is, is found out
    const warn = (event) => sending.state !== "paused" && event.preventDefault();
    sending = new Sending(source, () => {
      card.tell();
      if (sending.upload !== known) {
        known = sending.upload;
        unfinished.refresh();
      }
    });
    show(state, card.element);
    card.element.focus();
    addEventListener("beforeunload", warn);
    try {
      const file = await sending.run();
      announce(`${source.name} was sent`);
      return file;
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      announce(`${source.name} was cancelled`);
      await sending.discard();
      return null;
    } finally {
      card.end();
      removeEventListener("beforeunload", warn);
    }
  }

  function cancel(source) {
    const running = sending;
    const content = h("p", {}, "What was sent is thrown away. To go on another time, pause it or close the page instead.");
    return dialog({ title: `Cancel ${source.name}?`, content, action: "Cancel the upload", danger: true, work: async () => running.stop() });
  }

  return { element: h("div", {}, area.element, state, wrong, unfinished.element), refresh: unfinished.refresh };
}

function requireSame(source, upload) {
  if (isAs(upload, source)) return;
  const before = remembered(upload.id);
  const name = before?.name ?? upload.filename;
  let differs = `has ${bytes(source.size)}, and it was begun with ${bytes(upload.bytes)}`;
  if (before && before.files !== source.files) differs = `has ${several(source.files, "file")}, and it was begun with ${count(before.files)}`;
  if (source.name !== name) differs = "has another name";
  throw new Unusable(`This is not the same: ${source.name} ${differs}. Choose ${name} again, or drop this one above to send it by itself.`);
}
