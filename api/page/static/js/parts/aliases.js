// Names that point at models, wherever a model's id may stand.

import { all, ask } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { ago } from "../core/format.js";
import { failure, may } from "../core/start.js";
import { confirmed } from "./confirm.js";
import { table } from "./table.js";

/** {element, refresh()}. */
export function aliases(session, models) {
  const wrong = h("div", { "aria-live": "polite" });
  const mayWrite = may(session, "models:write");
  const found = table({
    caption: "Aliases",
    name: "alias-",
    empty: "No alias yet. Point one at a model, and programs that name it need no change when a better model comes.",
    columns: [
      { key: "name", title: "Alias", sort: (row) => row.name, cell: (row) => h("span", { class: "code" }, row.name) },
      { key: "model", title: "Points at", sort: (row) => row.model, cell: (row) => h("span", { class: "code" }, row.model) },
      { key: "before", title: "Before", cell: (row) => (row.previous_model ? h("span", { class: "code muted" }, row.previous_model) : "–") },
      { key: "changed", title: "Changed", sort: (row) => -row.changed_at, cell: (row) => ago(row.changed_at) },
      ...(mayWrite
        ? [{ key: "do", title: "", cell: (row) => h("div", { class: "actions" }, row.previous_model && h("button", { type: "button", class: "quiet", onclick: () => run("POST", `${row.name}/rollback`) }, "Roll back"), h("button", { type: "button", class: "danger", onclick: () => remove(row) }, "Delete")) }]
        : []),
    ],
  });

  const name = h("input", { id: "alias-name", autocomplete: "off", placeholder: "production" });
  const model = h("select", { id: "alias-model" }, models.map((each) => h("option", { value: each.id }, each.id)));
  const form = h("form", { class: "filters" }, h("div", {}, h("label", { for: "alias-name" }, "Alias"), name), h("div", {}, h("label", { for: "alias-model" }, "Model"), model), h("button", { type: "submit" }, "Point it there"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run("PUT", encodeURIComponent(name.value.trim()), { model: model.value });
  });

  async function remove(row) {
    if (await confirmed(`Programs that ask for ${row.name} are refused from then on.`, `Delete ${row.name}`)) await run("DELETE", row.name);
  }

  async function run(method, path, json) {
    try {
      await ask(method, `/v1/aliases/${path}`, { json });
      show(wrong);
      await refresh();
    } catch (error) {
      show(wrong, failure(error));
    }
  }

  async function refresh() {
    found.update(await all("/v1/aliases", 200));
  }

  return { element: h("div", {}, mayWrite && models.length > 0 && form, wrong, found.element), refresh };
}
