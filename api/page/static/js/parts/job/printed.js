// What a job's trainers printed, from when somebody wants to see it; followed while it grows.

import { ApiError, ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { poll } from "../../core/poll.js";
import { failure } from "../../core/start.js";

const SHOWN = 200_000; // bytes of its end
const EVERY = 2000; // milliseconds
const NEAR = 30; // pixels from the end that still count as being there

/** Folded away; `isOver()` says whether nothing more will be printed. */
export function printedLog(jobId, isOver) {
  const path = `/v1/fine_tuning/jobs/${jobId}/logs`;
  const lines = h("div", { class: "log", tabindex: "0", role: "region", "aria-label": "Printed log" });
  const [note, wrong] = [h("p", { class: "muted small", hidden: true }, "The end of it; the download has all."), h("div", { "aria-live": "polite" })];
  let etag = null;
  let stop = () => {};

  async function read() {
    const over = isOver(); // before it is read: the last lines are there then
    // Of an empty log no range can be had.
    const answer = await unlessKnown(path, { ...(etag && { "if-none-match": etag }), ...(lines.dataset.any && { range: `bytes=-${SHOWN}` }) });
    if (answer) {
      etag = answer.headers.get("etag");
      const whole = await answer.text();
      const isPart = answer.status === 206 && !answer.headers.get("content-range").startsWith("bytes 0-");
      const text = isPart ? whole.slice(whole.indexOf("\n") + 1) : whole.slice(-SHOWN);
      note.hidden = !isPart && text.length === whole.length;
      if (whole) lines.dataset.any = "yes";
      const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < NEAR;
      lines.textContent = text || (over ? "Nothing was printed." : "Nothing was printed yet.");
      if (atEnd) lines.scrollTop = lines.scrollHeight;
    }
    return !over;
  }

  const element = h("details", {}, h("summary", {}, "What the trainers printed"), wrong, note, lines, h("div", { class: "actions" }, h("a", { class: "button quiet", href: path, download: "" }, "Download the log")));
  element.addEventListener("toggle", () => {
    stop();
    if (element.open) stop = poll(read, EVERY, (error) => show(wrong, error && failure(error)));
  });
  return element;
}

// Null where the reader has it already.
async function unlessKnown(path, headers) {
  try {
    return await ask("GET", path, { raw: true, headers });
  } catch (error) {
    if (error instanceof ApiError && error.status === 304) return null;
    throw error;
  }
}
