// API keys: made, rotated, limited, revoked. A secret is shown once.

import { all, ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago, moment } from "../../core/format.js";
import { failure, may } from "../../core/start.js";
import { confirmed } from "../confirm.js";
import { copyButton } from "../copy.js";
import { table } from "../table.js";
import { editLimits, limitsSaid } from "./limits.js";

const SCOPES = ["files:read", "files:write", "jobs:read", "jobs:write", "models:read", "models:write", "models:infer", "webhooks", "usage:read", "audit:read", "metrics:read", "keys", "admin"];
const USUAL = SCOPES.slice(0, 9); // for a person who trains and uses models
const DAY = 86400;

export function keysTab(session) {
  const [secret, wrong] = [h("div"), h("div", { "aria-live": "polite" })];
  const mayGive = SCOPES.filter((scope) => may(session, scope));
  const found = table({
    caption: "API keys",
    name: "key-",
    columns: [
      { key: "name", title: "Key", sort: (row) => row.name, cell: (row) => [row.name, h("div", { class: "muted code" }, `${row.prefix}…`), h("div", { class: "muted code" }, row.id)] },
      { key: "scopes", title: "May", cell: (row) => row.scopes.join(", ") },
      { key: "used", title: "Last used", sort: (row) => (row.last_used_at ? -row.last_used_at : null), cell: (row) => (row.last_used_at ? ago(row.last_used_at) : "never") },
      { key: "ends", title: "Ends", sort: (row) => row.expires_at, cell: (row) => (row.revoked_at ? h("span", { class: "bad" }, `revoked ${moment(row.revoked_at)}`) : row.expires_at ? moment(row.expires_at) : "not by itself") },
      { key: "limits", title: "Limits", cell: (row) => limitsSaid(row.limits) },
      { key: "do", title: "", cell: (row) => !row.revoked_at && h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: () => rotate(row) }, "Rotate"), may(session, "admin") && h("button", { type: "button", class: "quiet", onclick: () => limit(row) }, "Limit"), h("button", { type: "button", class: "danger", onclick: () => revoke(row) }, "Revoke")) },
    ],
  });

  const name = h("input", { id: "key-name", autocomplete: "off", maxlength: "64" });
  const days = h("input", { id: "key-days", inputmode: "numeric", placeholder: "no end of its own" });
  const boxes = mayGive.map((scope) => [scope, h("input", { type: "checkbox", id: `scope-${scope}`, checked: USUAL.includes(scope) })]);
  const form = h(
    "form",
    { class: "card" },
    h("h2", {}, "Make a key"),
    h("label", { for: "key-name" }, "What it is for"),
    name,
    h("fieldset", {}, h("legend", {}, "What it may"), boxes.map(([scope, box]) => h("label", { class: "inline", for: box.id }, box, scope))),
    h("label", { for: "key-days" }, "Days until it ends"),
    days,
    h("div", { class: "actions" }, h("button", { type: "submit" }, "Make the key")),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { name: name.value, scopes: boxes.filter(([, box]) => box.checked).map(([scope]) => scope) };
    if (days.value.trim()) body.expires_in = Math.round(Number(days.value) * DAY);
    await run(async () => showSecret(await ask("POST", "/v1/keys", { json: body })));
  });

  async function rotate(row) {
    await run(async () => showSecret(await ask("POST", `/v1/keys/${row.id}/rotate`, { json: {} }), "The old secret goes on for a day."));
  }

  async function limit(row) {
    await editLimits(`/v1/keys/${row.id}/limits`, row.limits, { title: `Limits of ${row.name}` });
    await refresh();
  }

  async function revoke(row) {
    if (await confirmed(`Whatever uses ${row.name} is refused from then on, sessions of this page too.`, "Revoke the key")) await run(() => ask("DELETE", `/v1/keys/${row.id}`));
  }

  function showSecret(made, more = "") {
    show(secret, h("section", { class: "notice" }, h("h2", {}, `The secret of ${made.name}`), h("pre", { tabindex: "0" }, made.secret), copyButton(made.secret, "the secret"), h("p", {}, `It is shown this once: keep it now. ${more}`)));
  }

  async function run(work) {
    try {
      await work();
      show(wrong);
      await refresh();
    } catch (error) {
      show(wrong, failure(error));
    }
  }

  async function refresh() {
    found.update(await all("/v1/keys", 500));
  }

  return { element: h("div", {}, secret, wrong, found.element, form), refresh };
}
