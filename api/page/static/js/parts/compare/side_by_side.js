// The chosen jobs side by side: a column each, a row for every split.

import { h } from "../../core/dom.js";
import { number, points } from "../../core/format.js";
import { METRICS, verdict } from "../result/metrics.js";
import { rowsOf } from "./columns.js";

/** The table of one metric. */
export function sideBySide(columns, metric) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Jobs side by side" },
    h(
      "table",
      { role: "table", class: "stacks side-by-side" },
      h("caption", { class: "sr-only" }, `${METRICS[metric].title} of ${columns.length} models on every split`),
      h(
        "thead",
        { role: "rowgroup" },
        h("tr", { role: "row" }, h("th", { role: "columnheader", scope: "col" }, "Split"), columns.map(heading)),
      ),
      h("tbody", { role: "rowgroup" }, rowsOf(columns, metric).map((row) => line(row, columns, metric))),
    ),
  );
}

function heading(column, place) {
  return h(
    "th",
    { role: "columnheader", scope: "col", class: "number" },
    column.title,
    place === 0 && h("div", { class: "muted small" }, "the reference"),
  );
}

function line(row, columns, metric) {
  return h(
    "tr",
    { role: "row" },
    h(
      "td",
      { role: "cell", dataset: { title: "Split" } },
      h("div", {}, h("strong", {}, row.title), h("div", { class: "muted small" }, row.note)),
    ),
    row.cells.map(
      (cell, place) => h(
        "td",
        { role: "cell", class: "number", dataset: { title: columns[place].title } },
        h("div", {}, cell ? content(cell, metric) : "–"),
      ),
    ),
  );
}

function content(cell, metric) {
  const { format } = METRICS[metric];
  return [
    h("span", {}, format(cell.value), cell.isBest && [" ", h("span", { class: "badge good" }, "best")]),
    spread(cell, format),
    cell.change !== null && change(cell.change, metric),
    cell.selection && h("div", { class: "muted small" }, "optimistic: a split chose by it"),
  ];
}

function spread(cell, format) {
  if (cell.low !== null && cell.low !== undefined) return h("div", { class: "muted small" }, `${format(cell.low)} to ${format(cell.high)}`);
  return cell.sd ? h("div", { class: "muted small" }, `± ${format(cell.sd)} over seeds`) : null;
}

function change(difference, metric) {
  const word = verdict(metric, difference);
  const text = METRICS[metric].points ? `${points(difference)} points` : signed(difference);
  return h(
    "div",
    { class: `small ${word === "better" ? "good" : word === "worse" ? "bad" : "muted"}` },
    text,
    METRICS[metric].better && `, ${word}`,
  );
}

function signed(difference) {
  const text = number(Math.abs(difference), 3);
  return difference > 0 ? `+${text}` : difference < 0 ? `−${text}` : text;
}
