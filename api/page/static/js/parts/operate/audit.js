// What was changed, by whom, from where.

import { get } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { moment } from "../../core/format.js";
import { table } from "../table.js";

const PAGE = 100;

export function auditTab() {
  let lines = [];
  let more = false;
  const older = h("button", { type: "button", class: "quiet", onclick: () => load() }, "Older lines");
  const found = table({
    caption: "Audit log, newest first",
    name: "audit-",
    empty: "Nothing was changed yet.",
    columns: [
      { key: "at", title: "When", cell: (row) => moment(row.created_at) },
      { key: "action", title: "What", cell: (row) => [row.action, row.details && h("div", { class: "muted small" }, row.details)] },
      { key: "object", title: "To", cell: (row) => h("span", { class: "code" }, row.object_id) },
      { key: "key", title: "By", cell: (row) => h("span", { class: "code" }, row.key ?? "the operator") },
      { key: "address", title: "From", cell: (row) => row.address ?? "–" },
    ],
  });

  async function load() {
    const page = await get(`/v1/audit?limit=${PAGE}${lines.length ? `&after=${lines.at(-1).id}` : ""}`);
    lines = [...lines, ...page.data];
    more = page.has_more;
    older.hidden = !more;
    found.update(lines);
  }

  return {
    element: h("div", {}, found.element, h("div", { class: "actions" }, older)),
    async refresh() {
      lines = [];
      await load();
    },
  };
}
