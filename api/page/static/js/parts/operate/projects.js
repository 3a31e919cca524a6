// Projects, for operators: one for each group of people who share what they have.

import { ApiError, all, ask, post } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { moment } from "../../core/format.js";
import { attempt } from "../attempt.js";
import { dialog } from "../dialog.js";
import { field } from "../fields.js";
import { keepPlace } from "../keep_place.js";
import { table } from "../table.js";
import { changeLimits, limitsInWords } from "./limits.js";

const MANY = 1000;

export async function projects(view, session) {
  const [said, wrong] = [h("div"), h("div", { "aria-live": "polite" })];
  const tab = (project, name, text) => h(
    "a",
    { href: `/operate?tab=${name}&project=${encodeURIComponent(project.id)}`, "aria-label": `${text} of ${project.name}` },
    text,
  );
  const list = table({
    caption: "Projects, newest first",
    name: "project-",
    empty: "There is no project.",
    columns: [
      {
        key: "name",
        title: "Project",
        sort: (project) => project.name,
        cell: (project) => [
          h("strong", {}, project.name),
          project.id === session.project && h("span", { class: "muted" }, " (yours)"),
          h("div", { class: "muted code" }, project.id),
        ],
      },
      { key: "made", title: "Made", sort: (project) => -project.created_at, cell: (project) => moment(project.created_at) },
      { key: "limits", title: "Limits", cell: (project) => limitsInWords(project.limits) },
      {
        key: "see",
        title: "See",
        cell: (project) => [tab(project, "keys", "Keys"), " · ", tab(project, "usage", "Usage"), " · ", tab(project, "audit", "Audit")],
      },
      { key: "do", title: "Change", cell: moves },
    ],
  });

  const refresh = async () => {
    const found = await all("/v1/projects", MANY);
    keepPlace(list.element, () => list.update(found));
  };

  function moves(project) {
    const button = (text, what, work, danger = false) => h(
      "button",
      { type: "button", class: danger ? "danger" : "quiet", "aria-label": `${what} ${project.name}`, onclick: () => work(project) },
      text,
    );
    return h(
      "div",
      { class: "actions" },
      button("Limits", "Limits of", limit),
      project.id !== session.project && button("Delete", "Delete", remove, true),
    );
  }

  async function limit(project) {
    if (await changeLimits(project, `/v1/projects/${project.id}/limits`)) await refresh();
  }

  async function remove(project) {
    const typed = h("input", { id: "project-typed", autocomplete: "off", spellcheck: "false" });
    const isDone = await dialog({
      title: `Delete ${project.name}?`,
      content: [
        h(
          "p",
          {},
          "Its keys open nothing from then on. Its jobs are stopped, and its files, data sets, models and results are removed for good.",
        ),
        field("Type the project's name", typed, { param: "typed" }),
      ],
      action: "Delete it and all it has",
      danger: true,
      work: async () => {
        if (typed.value !== project.name) throw new ApiError(400, { message: `That is not ${project.name}.`, param: "typed" });
        await ask("DELETE", `/v1/projects/${project.id}`);
      },
    });
    if (!isDone) return;
    show(said, h("p", { class: "notice" }, `${project.name} is being removed.`));
    announce(`${project.name} is being removed.`);
    await refresh();
  }

  const name = h("input", { id: "project-name", autocomplete: "off", maxlength: "64" });
  const button = h("button", { type: "submit" }, "Make the project");
  const form = h(
    "form",
    { class: "narrow", novalidate: true },
    field("Name", name, { param: "name", help: "It has nothing in it and no key; make one under Keys." }),
    wrong,
    h("div", { class: "actions" }, button),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!(await attempt(() => post("/v1/projects", { name: name.value }), { wrong, form, button }))) return name.focus();
    announce(`${name.value} is made.`);
    name.value = "";
    return refresh();
  });
  await refresh();
  show(view, said, h("details", { class: "card" }, h("summary", {}, "New project"), form), list.element);
}
