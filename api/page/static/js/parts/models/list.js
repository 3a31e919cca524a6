// Every model of the project and every base, to be filtered and sorted.

import { announce, h } from "../../core/dom.js";
import { ago, bytes, percent } from "../../core/format.js";
import { read, write } from "../../core/urlstate.js";
import { field, select } from "../fields.js";
import { table } from "../table.js";
import { KINDS, hrefOf, kindOf } from "./kinds.js";

export function modelList(models, aliases) {
  const namesOf = (model) => aliases.filter((alias) => alias.model === model.id).map((alias) => alias.name);
  const found = table({
    caption: "Models, newest first",
    empty: models.length ? "No model fits the filter." : "There is no model yet. The operator adds a base with `lipsum base add`; jobs make the others.",
    columns: [
      {
        key: "id",
        title: "Model",
        sort: (model) => model.id,
        cell: (model) => [
          h("a", { href: hrefOf(model.id) }, model.id),
          namesOf(model).map((name) => [" ", h("span", { class: "badge" }, name)]),
        ],
      },
      { key: "kind", title: "Kind", sort: kindOf, cell: kindOf },
      { key: "method", title: "Method", sort: (model) => model.method, cell: (model) => model.method ?? "–" },
      {
        key: "base",
        title: "Base",
        sort: (model) => model.base,
        cell: (model) => (model.base && model.base !== model.id ? model.base : "–"),
      },
      { key: "accuracy", title: "Validation", number: true, sort: accuracy, cell: (model) => percent(accuracy(model)) },
      { key: "size", title: "Size", number: true, sort: (model) => model.size, cell: (model) => bytes(model.size) },
      { key: "made", title: "Made", sort: (model) => -model.created, cell: (model) => ago(model.created) },
    ],
  });
  const search = h("input", { id: "search", type: "search", value: read("q", ""), placeholder: "id, name, method, base, job" });
  const kind = select("kind", [["", "All but checkpoints"], ...KINDS, ["all", "All"]], read("kind", ""), () => draw());

  function draw() {
    write({ q: search.value, kind: kind.value });
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (model) => `${model.id} ${model.method ?? ""} ${model.base ?? ""} ${model.job_id ?? ""} ${namesOf(model).join(" ")}`.toLowerCase();
    const matching = models.filter((model) => fits(model, kind.value) && words.every((word) => text(model).includes(word)));
    found.update(matching);
    return matching.length;
  }

  search.addEventListener("input", () => announce(`${draw()} models`));
  draw();
  return [h("div", { class: "filters" }, field("Filter", search), field("Kind", kind)), found.element];
}

const fits = (model, kind) => (kind === "" ? model.kind !== "checkpoint" : kind === "all" || model.kind === kind);

const accuracy = (model) => model.metrics.validation_accuracy ?? null;
