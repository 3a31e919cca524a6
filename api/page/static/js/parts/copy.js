// A button that copies a text, where the browser lets a page do that.

import { announce, h } from "../core/dom.js";

const SAID = 1500; // milliseconds that "Copied" stands

export function copyButton(text, what) {
  if (!navigator.clipboard) return null; // plain http on another host: the text can be selected
  const button = h("button", { type: "button", class: "quiet", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    announce(`Copied ${what}`);
    setTimeout(() => (button.textContent = "Copy"), SAID);
  });
  return button;
}
