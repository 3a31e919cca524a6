// Who changed what, page by page.

import { all, get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { moment } from "../../core/format.js";
import { may } from "../../core/start.js";
import { read } from "../../core/urlstate.js";
import { table } from "../table.js";

const PAGE = 50;
const MANY = 1000;

export async function audit(view, session, project) {
  const query = new URLSearchParams({ limit: PAGE, ...(read("after") && { after: read("after") }), ...(project && { project }) });
  const [found, names] = await Promise.all([get(`/v1/audit?${query}`), may(session, "keys") ? namesOfKeys(project) : new Map()]);
  const list = table({
    caption: "Changes, newest first",
    empty: "Nothing was changed yet.",
    columns: [
      { key: "when", title: "When", cell: (line) => moment(line.created_at) },
      {
        key: "who",
        title: "Who",
        cell: (line) => (line.key === null ? "the operator, at the command line" : [
          names.get(line.key) ?? "",
          h("div", { class: "muted code" }, line.key),
        ]),
      },
      { key: "what", title: "What", cell: (line) => h("span", { class: "code nowrap" }, line.action) },
      { key: "object", title: "To", cell: (line) => [object(line), line.details && h("div", { class: "muted code" }, line.details)] },
      {
        key: "from",
        title: "From",
        cell: (line) => [line.address ?? "–", line.request_id && h("div", { class: "muted code" }, line.request_id)],
      },
    ],
  });
  list.update(found.data);
  const page = (text, after) => h("a", { class: "button quiet", href: address(after, project) }, text);
  show(
    view,
    list.element,
    h(
      "nav",
      { class: "actions", "aria-label": "Pages of the audit log" },
      read("after") && page("Newest", null),
      found.has_more && page("Older", found.last_id),
    ),
  );
}

function address(after, project) {
  const query = new URLSearchParams({ tab: "audit", ...(project && { project }), ...(after && { after }) });
  return `/operate?${query}`;
}

// A link, where the page has a place for what was changed.
function object(line) {
  if (line.object_id.startsWith("ftjob-")) return h("a", { href: `/jobs/${encodeURIComponent(line.object_id)}` }, line.object_id);
  return h("span", { class: "code" }, line.object_id);
}

async function namesOfKeys(project) {
  const path = project ? `/v1/keys?project=${encodeURIComponent(project)}` : "/v1/keys";
  return new Map((await all(path, MANY)).map((key) => [key.id, key.name]));
}
