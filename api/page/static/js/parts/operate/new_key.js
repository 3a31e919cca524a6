// A new key. Its secret is shown this once.

import { post } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { attempt } from "../attempt.js";
import { copyButton } from "../copy.js";
import { field } from "../fields.js";
import { parsed } from "../new_job/request.js";
import { scopeChoice } from "./scopes.js";

const DAY = 86400; // seconds

/** A form; `made(key)` is told of the new one. `project` is null for the session's own. */
export function newKey(session, project, made) {
  const wrong = h("div", { "aria-live": "polite" });
  const name = h("input", { id: "key-name", autocomplete: "off", maxlength: "64" });
  const days = h("input", { id: "key-days", inputmode: "decimal", autocomplete: "off" });
  const scopes = scopeChoice(session);
  const button = h("button", { type: "submit" }, "Make the key");
  const form = h(
    "form",
    { novalidate: true },
    h(
      "div",
      { class: "knobs" },
      field("What it is for", name, { param: "name", help: "A person or a program." }),
      field("Days until it expires", days, { param: "expires_in", help: "Empty: when the key you are signed in with does." }),
    ),
    scopes.element,
    wrong,
    h("div", { class: "actions" }, button),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const json = { name: name.value, scopes: scopes.chosen() };
    if (days.value.trim() !== "") json.expires_in = inSeconds(days.value.trim());
    if (project) json.project = project;
    let key = null;
    if (await attempt(async () => (key = await post("/v1/keys", json)), { wrong, form, button })) {
      name.value = "";
      made(key);
    } else form.querySelector('[aria-invalid="true"]')?.focus();
  });
  return form;
}

/** Shows a secret, once, in `place`. */
export function showSecret(place, key, text) {
  const secret = h("p", { class: "secret", tabindex: "-1" }, h("span", { class: "code" }, key.secret));
  const gone = h("button", { type: "button", class: "quiet", onclick: () => show(place) }, "I have kept it");
  show(
    place,
    h(
      "section",
      { class: "notice", "aria-label": `Secret of ${key.name}` },
      h("p", {}, h("strong", {}, text), " Keep it now: it is shown this once, and nobody can look it up."),
      secret,
      h("div", { class: "actions" }, copyButton(key.secret, "the secret"), gone),
    ),
  );
  announce(text);
  secret.focus();
}

// A text that is no number goes to the service as it is, which says so.
function inSeconds(text) {
  const found = parsed(text);
  return typeof found === "number" ? Math.round(found * DAY) : text;
}
