// Aliases, which point at models: moved in one step, and moved back.

import { ask, post } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { ago } from "../../core/format.js";
import { may } from "../../core/start.js";
import { attempt } from "../attempt.js";
import { dialog } from "../dialog.js";
import { field } from "../fields.js";
import { keepPlace } from "../keep_place.js";
import { table } from "../table.js";
import { hrefOf } from "./kinds.js";
import { modelChoice, nameForm, point } from "./name_form.js";

/** `refresh()` gives the aliases as they are now; it is called after every change. */
export function aliasSection(aliases, models, session, refresh) {
  const mayWrite = may(session, "models:write");
  const wrong = h("div", { "aria-live": "polite" });
  const [said, form] = [h("div", { "aria-live": "polite" }), h("div")];
  const link = (id) => (id ? h("a", { href: hrefOf(id) }, id) : "–");
  const found = table({
    caption: "Aliases and the models they point at",
    name: "alias-",
    empty: "No aliases yet. Give a model one, and programs can ask for it by that name: moving the alias needs no change to them.",
    columns: [
      { key: "name", title: "Alias", sort: (alias) => alias.name, cell: (alias) => h("strong", {}, alias.name) },
      { key: "model", title: "Points at", sort: (alias) => alias.model, cell: (alias) => link(alias.model) },
      { key: "before", title: "Before", cell: (alias) => link(alias.previous_model) },
      { key: "changed", title: "Moved", sort: (alias) => -alias.changed_at, cell: (alias) => ago(alias.changed_at) },
      ...(mayWrite ? [{ key: "do", title: "Change", cell: moves }] : []),
    ],
  });

  function moves(alias) {
    const path = `/v1/aliases/${encodeURIComponent(alias.name)}`;
    const back = h("button", { type: "button", class: "quiet", "aria-label": `Roll ${alias.name} back` }, "Roll back");
    back.addEventListener("click", () => change(() => post(`${path}/rollback`, {}), back));
    const elsewhere = h(
      "button",
      { type: "button", class: "quiet", "aria-label": `Point ${alias.name} elsewhere`, onclick: () => move(alias) },
      "Point elsewhere",
    );
    const remove = h(
      "button",
      { type: "button", class: "danger", "aria-label": `Delete ${alias.name}`, onclick: () => forget(alias, path) },
      "Delete",
    );
    return h("div", { class: "actions" }, elsewhere, alias.previous_model && back, remove);
  }

  async function change(work, button) {
    let now = null;
    if (await attempt(async () => (now = await work()), { wrong, button })) await tell(now);
  }

  async function tell(alias) {
    const text = alias.deleted ? `${alias.name} means nothing any more.` : `${alias.name} points at ${alias.model}.`;
    await redraw();
    show(said, h("p", { class: "notice" }, text));
    announce(text);
  }

  async function move(alias) {
    const target = modelChoice(`move-${alias.name}`, models, alias.model);
    let now = null;
    const isMoved = await dialog({
      title: `Point ${alias.name} elsewhere`,
      content: [
        field("Model", target, { param: "model" }),
        h("p", { class: "muted small" }, "The model is loaded first, so that no request waits for it."),
      ],
      action: "Point it",
      work: async () => (now = await point(aliases, alias.name, target.value)),
    });
    if (isMoved) await tell(now);
  }

  async function forget(alias, path) {
    const isGone = await dialog({
      title: `Delete the alias ${alias.name}?`,
      content: h(
        "p",
        {},
        "Whatever asks for it is told that there is no such model. ",
        h("span", { class: "code" }, alias.model),
        " stays.",
      ),
      action: "Delete it",
      danger: true,
      work: () => ask("DELETE", path),
    });
    if (isGone) await tell({ name: alias.name, deleted: true });
  }

  async function redraw() {
    aliases = await refresh();
    draw();
  }

  function draw() {
    keepPlace(found.element, () => found.update(aliases));
    show(form, mayWrite && nameForm({ aliases, models, done: tell }));
  }

  draw();
  return h(
    "section",
    { class: "card", "aria-labelledby": "names" },
    h("h2", { id: "names" }, "Aliases"),
    said,
    wrong,
    found.element,
    mayWrite ? h(
      "details",
      { open: aliases.length === 0 && models.length > 0 },
      h("summary", {}, "Give a model an alias, or move one"),
      h("div", { class: "narrow" }, form),
    ) : h("p", { class: "muted" }, "Your key may not change aliases; it needs the scope models:write."),
  );
}
