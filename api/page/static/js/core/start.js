// What every page does first: who is signed in, the theme, and a place for what goes wrong.

import { ApiError, Unreachable, ask, get, signIn } from "./api.js";
import { h, show } from "./dom.js";
import { equipThemeButton } from "./theme.js";

/**
 * Runs a page. `draw(view, session)` fills the element and may be asynchronous; what it throws is
 * shown in place of the page.
 */
export async function page(draw, { isPublic = false } = {}) {
  equipThemeButton(document.getElementById("theme"));
  const view = document.getElementById("view");
  try {
    const session = isPublic ? null : await get("/session");
    if (session) showWho(session);
    await draw(view, session);
  } catch (error) {
    show(view, failure(error));
    if (!(error instanceof ApiError) && !(error instanceof Unreachable)) throw error; // our fault: the console has it
  } finally {
    view.setAttribute("aria-busy", "false");
  }
}

/** A fault as a box: whose it is, and what to do. */
export function failure(error) {
  const known = error instanceof ApiError || error instanceof Unreachable;
  const text = known ? error.message : "This page failed. Reload it; if that does not help, tell the operator.";
  return h("div", { class: "error", role: "alert" }, h("p", {}, text), error.code && h("p", { class: "muted" }, error.code));
}

/** The page's heading, and the tab's name. */
export function title(text) {
  document.getElementById("title").textContent = text;
  document.title = `${text} · Lipsum`;
}

/** Whether the session may do what needs this scope. */
export function may(session, scope) {
  return session.scopes.includes("admin") || session.scopes.includes(scope);
}

function showWho(session) {
  document.getElementById("who").textContent = `${session.project} · ${session.key_name}`;
  const button = document.getElementById("sign-out");
  button.hidden = false;
  button.addEventListener("click", async () => {
    await ask("DELETE", "/session", { stay: true });
    signIn();
  });
}
