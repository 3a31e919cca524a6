// Bases, models that jobs made of them, and the names that point at them.

import { all, ask } from "../core/api.js";
import { announce, h, show } from "../core/dom.js";
import { ago, bytes, count, percent } from "../core/format.js";
import { failure, may, page } from "../core/start.js";
import { read, write } from "../core/urlstate.js";
import { aliases } from "../parts/aliases.js";
import { confirmed } from "../parts/confirm.js";
import { table } from "../parts/table.js";

const MANY = 1000;
const KINDS = [["", "All but checkpoints"], ["base", "Bases"], ["fine_tuned", "Fine-tuned"], ["checkpoint", "Checkpoints"]];

page(async (view, session) => {
  let models = await all("/v1/models", MANY);
  const wrong = h("div", { "aria-live": "polite" });
  const search = h("input", { id: "search", type: "search", value: read("q", "") });
  const kind = h("select", { id: "kind" }, KINDS.map(([value, text]) => h("option", { value }, text)));
  kind.value = read("kind", "");
  const found = table({
    caption: "Models, newest first",
    empty: "No model matches.",
    columns: [
      { key: "id", title: "Model", sort: (row) => row.id, cell: (row) => [h("span", { class: "code" }, row.id), details(row)] },
      { key: "kind", title: "Kind", sort: (row) => row.kind, cell: (row) => row.kind.replace("_", "-") },
      { key: "method", title: "Method", sort: (row) => row.method, cell: (row) => row.method ?? "–" },
      { key: "validation", title: "Validation", number: true, sort: (row) => row.metrics.validation_accuracy ?? null, cell: (row) => percent(row.metrics.validation_accuracy) },
      { key: "size", title: "Size", number: true, sort: (row) => row.size, cell: (row) => bytes(row.size) },
      { key: "created", title: "Made", sort: (row) => -row.created, cell: (row) => ago(row.created) },
    ],
  });
  const names = aliases(session, models.filter((model) => model.kind !== "checkpoint"));

  function details(model) {
    const weights = `/v1/models/${model.id}/weights`;
    return h(
      "details",
      {},
      h("summary", { class: "small" }, "More"),
      h("dl", { class: "facts" }, [
        ["Base", model.base],
        ["Job", model.job_id && h("a", { href: `/jobs/${model.job_id}` }, model.job_id)],
        ["Classes", model.n_classes && count(model.n_classes)],
        ["Image side", model.image_size && `${model.image_size} pixels`],
        ["Answers together with", model.mixture && Object.values(model.mixture).join(", ")],
      ].filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      h("div", { class: "actions" },
        h("a", { class: "button quiet", href: `/playground?models=${encodeURIComponent([model.base, model.id].filter(Boolean).join(","))}` }, "Ask it"),
        ["open_clip", "transformers", "onnx"].map((format) => h("a", { class: "button quiet", href: `${weights}?format=${format}`, download: "" }, format)),
        model.kind !== "base" && may(session, "models:write") && h("button", { type: "button", class: "danger", onclick: () => remove(model) }, "Delete"),
      ),
    );
  }

  async function remove(model) {
    if (!(await confirmed(`The weights of ${model.id} cannot be had again, but by running its job again.`, "Delete the model"))) return;
    try {
      await ask("DELETE", `/v1/models/${model.id}`);
      models = models.filter((each) => each.id !== model.id);
      announce(`${model.id} is deleted`);
      show(wrong);
      draw();
    } catch (error) {
      show(wrong, failure(error));
    }
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = models
      .filter((model) => (kind.value ? model.kind === kind.value : model.kind !== "checkpoint"))
      .filter((model) => words.every((word) => `${model.id} ${model.method ?? ""} ${model.base ?? ""} ${model.job_id ?? ""}`.toLowerCase().includes(word)));
    found.update(matching);
    return matching.length;
  }
  search.addEventListener("input", () => (write({ q: search.value }), announce(`${draw()} models`)));
  kind.addEventListener("change", () => (write({ kind: kind.value }), draw()));

  show(
    view,
    h("div", { class: "filters" }, h("div", {}, h("label", { for: "search" }, "Filter"), search), h("div", {}, h("label", { for: "kind" }, "Kind"), kind)),
    wrong,
    found.element,
    h("section", { class: "card" }, h("h2", {}, "Aliases"), names.element),
  );
  draw();
  await names.refresh();
});
