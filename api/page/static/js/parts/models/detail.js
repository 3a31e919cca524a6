// One model: where it comes from, what is in it, and what can be done with it.

import { ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { bytes, count, moment, number, percent } from "../../core/format.js";
import { may } from "../../core/start.js";
import { dialog } from "../dialog.js";
import { downloads } from "./downloads.js";
import { hrefOf, kindOf } from "./kinds.js";
import { nameForm } from "./name_form.js";

export function modelDetail(model, aliases, session) {
  return [
    h("p", {}, h("a", { href: "/models" }, "All models and aliases")),
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "What it is"), facts(model), uses(model, session)),
      h("div", {}, names(model, aliases, session), downloads(model)),
    ),
    files(model),
    deletion(model, session),
  ];
}

function facts(model) {
  const link = (id) => h("a", { href: hrefOf(id) }, id);
  const rows = [
    ["Kind", kindOf(model)],
    ["Made", moment(model.created)],
    ["Method", model.method],
    ["Base", model.base && model.base !== model.id && link(model.base)],
    ["Training began from", model.start && link(model.start)],
    ["Job", model.job_id && h("a", { href: `/jobs/${encodeURIComponent(model.job_id)}` }, model.job_id)],
    ["Seed and step", model.step === null ? null : `${model.seed ?? "–"}, ${count(model.step)}`],
    ["Answers together", model.mixture && Object.entries(model.mixture).map(([folder, id]) => h("div", {}, `${folder}: `, link(id)))],
    ["Image side", model.image_size && `${model.image_size} pixels`],
    ["Embedding", model.embed_dim && `${count(model.embed_dim)} dimensions`],
    ["Classes of its head", model.n_classes === null ? "none: it answers for labels that it is given" : count(model.n_classes)],
    ["Validation accuracy", percent(model.metrics.validation_accuracy ?? null)],
    ["Training loss", number(model.metrics.train_loss ?? null)],
    ["Size", bytes(model.size)],
    ["SHA-256", h("span", { class: "code" }, model.sha256)],
  ];
  return h(
    "dl",
    { class: "facts" },
    rows.filter(([, value]) => value && value !== "–").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

function uses(model, session) {
  const asked = [...new Set([model.base, model.id])].filter(Boolean).join(",");
  return h(
    "div",
    { class: "actions" },
    may(session, "models:infer") && h("a", { class: "button", href: `/playground?models=${encodeURIComponent(asked)}` }, "Try it"),
    may(session, "jobs:write") && !model.mixture && h(
      "a",
      { class: "button quiet", href: `/jobs/new?model=${encodeURIComponent(model.id)}` },
      "Fine-tune from it",
    ),
    model.kind === "fine_tuned" && model.job_id && h(
      "a",
      { class: "button quiet", href: `/jobs/${encodeURIComponent(model.job_id)}/result` },
      "Its result",
    ),
  );
}

function names(model, aliases, session) {
  const pointing = aliases.filter((alias) => alias.model === model.id);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Aliases that point at it"),
    pointing.length ? h("ul", {}, pointing.map((alias) => h("li", {}, h("strong", {}, alias.name)))) : h(
      "p",
      { class: "muted" },
      "None. An alias stands wherever an id may, and can be moved to a better model later without a change to what asks for it.",
    ),
    may(session, "models:write") && nameForm({ aliases, model, done: () => location.reload() }),
  );
}

function files(model) {
  const address = (file) => `/v1/models/${encodeURIComponent(model.id)}/files/${file.name.split("/").map(encodeURIComponent).join("/")}`;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Files"),
    h(
      "ul",
      { class: "model-files" },
      model.files.map(
        (file) => h(
          "li",
          {},
          h("a", { href: address(file), download: file.name.split("/").at(-1) }, file.name),
          " ",
          h("span", { class: "muted" }, bytes(file.size)),
        ),
      ),
    ),
  );
}

function deletion(model, session) {
  if (model.kind === "base") return h("p", { class: "muted" }, "A base is every project's; only the operator can remove it.");
  if (!may(session, "models:write")) return h("p", { class: "muted" }, "Your key may not delete models; it needs the scope models:write.");
  const said = h("span");
  const button = h("button", { type: "button", class: "danger" }, "Delete this model");
  button.addEventListener("click", async () => {
    const isGone = await dialog({
      title: "Delete this model?",
      content: h(
        "p",
        {},
        h("span", { class: "code" }, model.id),
        " answers nobody from then on, and its weights cannot be had again. Its job and that job's results stay.",
      ),
      action: "Delete it",
      danger: true,
      work: () => ask("DELETE", `/v1/models/${encodeURIComponent(model.id)}`),
    });
    if (!isGone) return;
    show(said, "Deleted.");
    location.replace("/models");
  });
  return h("div", { class: "actions" }, button, said);
}
