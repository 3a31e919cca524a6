// API keys: made, rotated, revoked, limited.

import { all, ask, post } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago, moment } from "../../core/format.js";
import { may } from "../../core/start.js";
import { read, write } from "../../core/urlstate.js";
import { dialog } from "../dialog.js";
import { field, tick } from "../fields.js";
import { keepPlace } from "../keep_place.js";
import { parsed } from "../new_job/request.js";
import { table } from "../table.js";
import { changeLimits, limitsInWords } from "./limits.js";
import { newKey, showSecret } from "./new_key.js";

const MANY = 1000;
const HOUR = 3600; // seconds

export async function keys(view, session, project) {
  const path = project ? `/v1/keys?project=${encodeURIComponent(project)}` : "/v1/keys";
  const secret = h("div");
  const ended = tick("ended", "Show revoked and expired keys", read("ended") === "1", (isWanted) => {
    write({ ended: isWanted ? "1" : null });
    draw();
  });
  let found = await all(path, MANY);

  const list = table({
    caption: "API keys, newest first",
    name: "key-",
    empty: "No key of this project is valid. Make one above.",
    columns: [
      {
        key: "name",
        title: "Key",
        sort: (key) => key.name,
        cell: (key) => [
          h("strong", {}, key.name),
          key.id === session.key_id && h("span", { class: "muted" }, " (yours)"),
          h("div", { class: "muted code" }, `${key.id} ${key.prefix}…`),
        ],
      },
      { key: "scopes", title: "May", cell: (key) => key.scopes.map((scope) => [h("span", { class: "code nowrap" }, scope), " "]) },
      { key: "made", title: "Made", sort: (key) => -key.created_at, cell: (key) => ago(key.created_at) },
      {
        key: "used",
        title: "Last used",
        sort: (key) => (key.last_used_at === null ? null : -key.last_used_at),
        cell: (key) => (key.last_used_at === null ? "never" : ago(key.last_used_at)),
      },
      { key: "valid", title: "Valid", sort: (key) => key.expires_at, cell: validity },
      { key: "limits", title: "Limits", cell: (key) => limitsInWords(key.limits) },
      { key: "do", title: "Change", cell: moves },
    ],
  });

  const draw = () => keepPlace(list.element, () => list.update(found.filter((key) => ended.box.checked || isValid(key))));
  const refresh = async () => {
    found = await all(path, MANY);
    draw();
  };

  function moves(key) {
    if (!isValid(key)) return null;
    const button = (text, what, work, danger = false) => h(
      "button",
      { type: "button", class: danger ? "danger" : "quiet", "aria-label": `${what} ${key.name}`, onclick: () => work(key) },
      text,
    );
    return h(
      "div",
      { class: "actions" },
      button("Rotate", "Rotate", rotate),
      may(session, "admin") && button("Limits", "Limits of", limit),
      button("Revoke", "Revoke", revoke, true),
    );
  }

  async function rotate(key) {
    const hours = h("input", { id: "overlap", inputmode: "decimal", value: "24" });
    let made = null;
    const isDone = await dialog({
      title: `A new secret for ${key.name}`,
      content: field(
        "Hours for which the present secret stays valid",
        hours,
        { param: "overlap", help: "So that nobody need stop. 0 ends it at once, as after a leak." },
      ),
      action: "Rotate",
      work: async () => {
        const typed = parsed(hours.value.trim());
        made = await post(`/v1/keys/${key.id}/rotate`, { overlap: typeof typed === "number" ? Math.round(typed * HOUR) : typed });
      },
    });
    if (!isDone) return;
    await refresh();
    showSecret(secret, made, `${key.name} has a new secret.`);
  }

  async function limit(key) {
    if (await changeLimits(key, `/v1/keys/${key.id}/limits`)) await refresh();
  }

  async function revoke(key) {
    const isOwn = key.id === session.key_id;
    const isDone = await dialog({
      title: `Revoke ${key.name}?`,
      content: h(
        "p",
        {},
        "It opens nothing any more, with whichever secret, and cannot be brought back.",
        isOwn && " It is the key that you are signed in with: you will have to sign in with another.",
      ),
      action: "Revoke it",
      danger: true,
      work: () => ask("DELETE", `/v1/keys/${key.id}`),
    });
    if (isDone) await refresh();
  }

  draw();
  show(
    view,
    secret,
    h(
      "details",
      { class: "card", open: found.length < 2 },
      h("summary", {}, "New key"),
      newKey(session, project, async (key) => {
        await refresh();
        showSecret(secret, key, `${key.name} is made.`);
      }),
    ),
    h("div", { class: "filters" }, ended.element),
    list.element,
  );
}

const isValid = (key) => key.revoked_at === null && (key.expires_at === null || key.expires_at > Date.now() / 1000);

function validity(key) {
  if (key.revoked_at !== null) return h("span", { class: "bad" }, `revoked ${ago(key.revoked_at)}`);
  if (key.expires_at === null) return "for good";
  return isValid(key) ? `until ${moment(key.expires_at)}` : h("span", { class: "bad" }, `expired ${ago(key.expires_at)}`);
}
