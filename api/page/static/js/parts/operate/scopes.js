// What a key may do, as the API names it and in words.

import { h } from "../../core/dom.js";
import { tick } from "../fields.js";

export const SCOPES = [
  ["files:read", "list and download files"],
  ["files:write", "upload and delete files"],
  ["jobs:read", "see jobs and comparisons"],
  ["jobs:write", "make and cancel them"],
  ["models:read", "see and download models"],
  ["models:write", "delete models, move aliases"],
  ["models:infer", "ask models about images"],
  ["webhooks", "be told of events"],
  ["usage:read", "see what the project used"],
  ["audit:read", "see who changed what"],
  ["metrics:read", "read /metrics, for Prometheus"],
  ["keys", "make and revoke keys"],
  ["admin", "all of these, and projects, limits and workers"],
];

const USER = [
  "files:read",
  "files:write",
  "jobs:read",
  "jobs:write",
  "models:read",
  "models:write",
  "models:infer",
  "webhooks",
  "usage:read",
];

/** Boxes for the scopes that this session may hand out; `chosen()` are those that are ticked. */
export function scopeChoice(session) {
  const given = session.scopes.includes("admin") ? SCOPES : SCOPES.filter(([scope]) => session.scopes.includes(scope));
  const boxes = given.map(
    ([scope, words]) => [
      scope,
      tick(
        `scope-${scope.replace(":", "-")}`,
        [h("span", { class: "code" }, scope), " ", h("span", { class: "muted small" }, words)],
        USER.includes(scope),
      ),
    ],
  );
  const preset = (label, wanted) => h(
    "button",
    { type: "button", class: "quiet", onclick: () => boxes.forEach(([scope, { box }]) => (box.checked = wanted.includes(scope))) },
    label,
  );
  const element = h(
    "fieldset",
    { dataset: { param: "scopes" } },
    h("legend", {}, "What it may do"),
    h(
      "div",
      { class: "actions" },
      preset("Train and use models", USER),
      preset("Only ask models", ["models:infer"]),
      preset("Nothing yet", []),
    ),
    h("div", { class: "choices" }, boxes.map(([, { element: box }]) => box)),
  );
  return { element, chosen: () => boxes.filter(([, { box }]) => box.checked).map(([scope]) => scope) };
}
