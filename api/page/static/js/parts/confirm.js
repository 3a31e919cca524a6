// Asking once more before something is gone.

import { h } from "../core/dom.js";

/** Resolves to whether it was confirmed. The keyboard stays inside until then. */
export function confirmed(question, verb) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { "aria-labelledby": "question" },
      h("p", { id: "question" }, question),
      h("div", { class: "actions" }, h("button", { type: "button", class: "danger", onclick: () => dialog.close("yes") }, verb), h("button", { type: "button", class: "quiet", onclick: () => dialog.close("no") }, "Keep it")),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
