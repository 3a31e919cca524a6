// What the pointer is over in a chart, in the page's own words: Vega's tooltip would bring a style
// element, which the page's policy refuses.

import { h, show } from "../core/dom.js";

const APART = 12; // pixels from the pointer
const MARGIN = 8;

/** As Vega calls it; no value is when the pointer left. */
export function say(handler, event, item, value) {
  const tip = document.getElementById("tip") ?? document.body.appendChild(h("div", { id: "tip", class: "tip", hidden: true }));
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  show(tip, typeof value === "object" ? Object.entries(value).map(([key, each]) => h("div", {}, `${key}: ${each}`)) : String(value));
  tip.style.left = `${Math.max(MARGIN, Math.min(event.clientX + APART, innerWidth - tip.offsetWidth - MARGIN))}px`;
  const below = event.clientY + APART;
  tip.style.top = `${below + tip.offsetHeight > innerHeight ? event.clientY - APART - tip.offsetHeight : below}px`;
}
