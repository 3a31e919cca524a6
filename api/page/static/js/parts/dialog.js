// Asking before something is done, in a dialog of the browser's own: it keeps the keyboard inside, is
// closed by Escape, and gives the keyboard back to what opened it.

import { h } from "../core/dom.js";
import { attempt } from "./attempt.js";

let made = 0;

/**
 * Opens a dialog and resolves to true once `work` went well, to false where it was called off. What
 * the service says against it stands in the dialog, beside the field it is about.
 */
export function dialog({ title, content, action, danger = false, work }) {
  const id = `dialog-${++made}`;
  const wrong = h("div", { "aria-live": "polite" });
  const doIt = h("button", { type: "submit", class: danger ? "danger" : null }, action);
  const never = h("button", { type: "button", class: "quiet", onclick: () => box.close() }, danger ? "Keep it" : "Cancel");
  const form = h("form", { novalidate: true }, h("h2", { id, style: { "margin-top": "0" } }, title), content, wrong, h("div", { class: "actions" }, doIt, never));
  const box = h("dialog", { "aria-labelledby": id }, form);
  return new Promise((resolve) => {
    let isDone = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      isDone = await attempt(work, { wrong, form, button: doIt });
      if (isDone) box.close();
      else (form.querySelector('[aria-invalid="true"]') ?? doIt).focus();
    });
    box.addEventListener("close", () => {
      box.remove();
      resolve(isDone);
    });
    document.body.append(box);
    box.showModal();
    if (danger) never.focus(); // Enter by mistake does nothing
  });
}
