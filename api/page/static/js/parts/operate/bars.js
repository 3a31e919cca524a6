// A number with a bar beside it, for reading a column at a glance.

import { h } from "../../core/dom.js";

/** `share` is from 0 to 1; the words say the number, so the bar is for the eye alone. */
export function withBar(text, share) {
  const width = `${100 * Math.min(1, Math.max(0, share || 0))}%`;
  return [h("div", {}, text), h("div", { class: "share", "aria-hidden": "true" }, h("div", { style: { width } }))];
}
