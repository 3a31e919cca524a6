// What is looked at again every second and mostly says the same: it is left as it is then, so that
// nobody loses a selection, a place in the text or the keyboard's focus.

import { h, show } from "../core/dom.js";
import { keepPlace } from "./keep_place.js";

/** As `show`, unless that would change nothing. */
export function showSteadily(parent, ...children) {
  const fresh = [...h("div", {}, children).childNodes];
  const shown = [...parent.childNodes];
  const isSame = fresh.length === shown.length && fresh.every((node, at) => node.isEqualNode(shown[at]));
  if (!isSame) keepPlace(parent, () => show(parent, fresh));
  return parent;
}
