// The methods of a comparison, and how far each is.

import { h } from "../../core/dom.js";
import { duration, percent } from "../../core/format.js";
import { statusBadge } from "../status.js";

const HEADS = ["Contender", "Status", "Ran", "Job"];

export function contenders(comparison) {
  const cells = (each) => [
    [h("strong", {}, each.label), each.of.length > 0 && h("div", { class: "muted small" }, `reads ${each.of.join(", ")}`)],
    [
      statusBadge(each.status),
      each.status === "running" && ` ${percent(each.fraction, 0)}`,
      each.left_out && h("div", { class: "muted small" }, each.left_out),
    ],
    duration(each.seconds),
    each.job_id ? h("a", { href: `/jobs/${each.job_id}` }, each.job_id) : "–",
  ];
  return h(
    "table",
    { role: "table", class: "stacks" },
    h("caption", { class: "sr-only" }, `Contenders of ${comparison.name ?? comparison.id}`),
    h(
      "thead",
      { role: "rowgroup" },
      h("tr", { role: "row" }, HEADS.map((title) => h("th", { role: "columnheader", scope: "col" }, title))),
    ),
    h(
      "tbody",
      { role: "rowgroup" },
      comparison.contenders.map(
        (each) => h(
          "tr",
          { role: "row" },
          cells(each).map((content, at) => h("td", { role: "cell", dataset: { title: HEADS[at] } }, h("div", {}, content))),
        ),
      ),
    ),
  );
}
