// Projects and what each is limited to.

import { all, ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { moment } from "../../core/format.js";
import { failure } from "../../core/start.js";
import { table } from "../table.js";
import { editLimits, limitsSaid } from "./limits.js";

export function projectsTab() {
  const wrong = h("div", { "aria-live": "polite" });
  const found = table({
    caption: "Projects",
    name: "project-",
    columns: [
      { key: "name", title: "Project", sort: (row) => row.name, cell: (row) => [row.name, h("div", { class: "muted code" }, row.id)] },
      { key: "made", title: "Made", sort: (row) => -row.created_at, cell: (row) => moment(row.created_at) },
      { key: "limits", title: "Limits", cell: (row) => limitsSaid(row.limits) },
      { key: "do", title: "", cell: (row) => h("button", { type: "button", class: "quiet", onclick: () => limit(row) }, "Limit") },
    ],
  });
  const name = h("input", { id: "project-name", autocomplete: "off", maxlength: "64" });
  const form = h("form", { class: "filters" }, h("div", {}, h("label", { for: "project-name" }, "Name of a new project"), name), h("button", { type: "submit" }, "Make it"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await ask("POST", "/v1/projects", { json: { name: name.value } });
      name.value = "";
      show(wrong);
      await refresh();
    } catch (error) {
      show(wrong, failure(error));
    }
  });

  async function limit(row) {
    await editLimits(`/v1/projects/${row.id}/limits`, row.limits, { ofProject: true, title: `Limits of ${row.name}` });
    await refresh();
  }

  async function refresh() {
    found.update(await all("/v1/projects", 1000));
  }

  return { element: h("div", {}, form, wrong, found.element), refresh };
}
