// Zero-shot against the model, split by split: losses as plainly as gains.

import { h } from "../../core/dom.js";
import { number, points } from "../../core/format.js";
import { METRICS, verdict } from "./metrics.js";

const SIGNIFICANT = 0.05;

/** The table of one metric. */
export function splitTable(results, model, metric) {
  const row = (name, before, after, extra, note) => {
    const change = before && after ? after.value - before.value : null;
    const word = change === null ? "" : verdict(metric, change);
    return h(
      "tr",
      { role: "row" },
      [
        ["Split", [name, note && h("div", { class: "muted small" }, note)]],
        ["Zero-shot", shown(metric, before), true],
        ["This model", shown(metric, after), true],
        ["Change", change === null ? "–" : h("span", { class: word === "better" ? "good" : word === "worse" ? "bad" : null }, METRICS[metric].points ? points(change) : signed(change), h("div", { class: "small" }, word)), true],
        ["Is it chance?", extra],
      ].map(([title, content, isNumber]) => h("td", { role: "cell", class: isNumber && "number", dataset: { title } }, h("div", {}, content))),
    );
  };
  const rows = results.splits.map((split) =>
    row(split, results.get("zero_shot", split, metric), results.get(model, split, metric), metric === "accuracy" ? chance(results, model, split) : "", noteOf(results, model, split, metric)),
  );
  const [before, after] = [results.shift("zero_shot", metric), results.shift(model, metric)];
  if (before !== null && after !== null && results.shifted.length > 1) rows.push(row(h("strong", {}, "Mean over shifted splits"), { value: before }, { value: after }, "", results.shifted.join(", ")));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results by split" },
    h(
      "table",
      { role: "table", class: "stacks" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, [["Split"], ["Zero-shot", true], ["This model", true], ["Change", true], ["Is it chance?"]].map(([title, isNumber]) => h("th", { role: "columnheader", scope: "col", class: isNumber && "number" }, title)))),
      h("tbody", { role: "rowgroup" }, rows),
    ),
  );
}

function shown(metric, cell) {
  if (!cell) return "–";
  const { format } = METRICS[metric];
  const spread = cell.low !== null && cell.low !== undefined ? `${format(cell.low)} to ${format(cell.high)}` : cell.sd ? `± ${format(cell.sd)} over seeds` : null;
  return [format(cell.value), spread && h("div", { class: "muted small" }, spread)];
}

// McNemar's test on the same images, corrected by Holm over the splits, seed by seed.
function chance(results, model, split) {
  const found = results.seeds.map((seed) => results.get(model, split, "mcnemar_p_holm", seed)).filter(Boolean);
  if (!found.length) return "";
  const clear = found.filter((cell) => cell.value < SIGNIFICANT).length;
  if (found.length > 1) return `no, in ${clear} of ${found.length} seeds`;
  const p = found[0].value < 1e-4 ? "p < 0.0001" : `p = ${number(found[0].value, 2)}`;
  return clear ? `no, ${p}` : `it may be, ${p}`;
}

function noteOf(results, model, split, metric) {
  const cell = results.get(model, split, metric);
  const notes = [];
  if (split === "val") notes.push("chooses the checkpoint: optimistic");
  else if (split === results.id) notes.push("ID");
  if (cell?.selection) notes.push("touched by a split marked for selection: optimistic");
  if (cell?.n) notes.push(`${cell.n.toLocaleString("en")} images`);
  return notes.join(" · ");
}

function signed(change) {
  const text = number(Math.abs(change), 3);
  return change > 0 ? `+${text}` : change < 0 ? `−${text}` : text;
}
