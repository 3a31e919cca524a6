// A key is exchanged for a session.

import { ask } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { failure, page } from "../core/start.js";
import { read } from "../core/urlstate.js";

page(
  (view) => {
    const key = h("input", { id: "key", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "key-help" });
    const wrong = h("div", { "aria-live": "polite" });
    const button = h("button", { type: "submit" }, "Sign in");
    const form = h(
      "form",
      { class: "card narrow" },
      h("label", { for: "key" }, "API key"),
      key,
      h("p", { id: "key-help", class: "muted" }, "It begins with lipsum-. On the service's own machine, `lipsum up` prints where its first one lies; whoever runs it can make more with `lipsum keys create`."),
      wrong,
      button,
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        await ask("POST", "/session", { headers: { authorization: `Bearer ${key.value.trim()}` }, stay: true });
        location.replace(next());
      } catch (error) {
        show(wrong, failure(error));
        button.disabled = false;
        key.focus();
      }
    });
    show(view, form);
    key.focus();
  },
  { isPublic: true },
);

// Where the reader was going; only within this site.
function next() {
  const wanted = new URL(read("next", "/"), location.origin);
  return wanted.origin === location.origin ? wanted.pathname + wanted.search : "/";
}
