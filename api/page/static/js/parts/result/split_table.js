// Zero-shot against the model, split by split: losses as plainly as gains.

import { h } from "../../core/dom.js";
import { count, number, points } from "../../core/format.js";
import { METRICS, verdict } from "./metrics.js";

const SIGNIFICANT = 0.05;
const HEADS = [["Split", false], ["Zero-shot", true], ["This model", true], ["Change", true], ["Is it chance?", false]];

/** The table of one metric. */
export function splitTable(results, reference, model, metric) {
  const rows = results.splits.map((split) => {
    const [before, after] = [cellOf(results, reference, split, metric), results.get(model, split, metric)];
    return row([split, noteOf(results, after, split)], metric, before, after, metric === "accuracy" ? chance(results, model, split) : "–");
  });
  const [before, after] = [reference && results.shift(reference, metric), results.shift(model, metric)];
  if (after !== null && results.shifted.length > 1) {
    rows.push(row([h("strong", {}, "Mean over shifted splits"), results.shifted.join(", ")], metric, before === null ? null : { value: before }, { value: after }, "–"));
  }
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results by split" },
    h(
      "table",
      { role: "table", class: "stacks" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, HEADS.map(([title, isNumber]) => h("th", { role: "columnheader", scope: "col", class: isNumber && "number" }, title)))),
      h("tbody", { role: "rowgroup" }, rows),
    ),
  );
}

function row([name, note], metric, before, after, extra) {
  const difference = before && after ? after.value - before.value : null;
  const cells = [[name, note && h("div", { class: "muted small" }, note)], shown(metric, before), shown(metric, after), changed(metric, difference), extra];
  return h("tr", { role: "row" }, cells.map((content, at) => h("td", { role: "cell", class: HEADS[at][1] && "number", dataset: { title: HEADS[at][0] } }, h("div", {}, content))));
}

function shown(metric, cell) {
  if (!cell) return "–";
  const { format } = METRICS[metric];
  const hasInterval = cell.low !== null && cell.low !== undefined;
  const spread = hasInterval ? `${format(cell.low)} to ${format(cell.high)}` : cell.sd ? `± ${format(cell.sd)} over seeds` : null;
  return [format(cell.value), spread && h("div", { class: "muted small" }, spread)];
}

function changed(metric, difference) {
  if (difference === null) return "–";
  const word = verdict(metric, difference);
  const look = { better: "good", worse: "bad" }[word];
  return h("span", { class: look }, METRICS[metric].points ? points(difference) : signed(difference), word && h("div", { class: "small" }, word));
}

// McNemar's test on the same images, corrected by Holm over the splits, seed by seed.
function chance(results, model, split) {
  const found = results.seeds.map((seed) => results.get(model, split, "mcnemar_p_holm", seed)).filter(Boolean);
  if (!found.length) return "–";
  const clear = found.filter((cell) => cell.value < SIGNIFICANT).length;
  if (found.length > 1) return `no, in ${clear} of ${found.length} seeds`;
  const p = found[0].value < 1e-4 ? "p < 0.0001" : `p = ${number(found[0].value, 2)}`;
  return clear ? `no, ${p}` : `it may be, ${p}`;
}

function noteOf(results, cell, split) {
  const isId = split === results.id;
  return [
    split === "val" && !isId && "chooses the checkpoint: optimistic",
    isId && (split === "val" ? "ID; chooses the checkpoint: optimistic" : "ID"),
    cell?.selection && "touched by a split marked for selection: optimistic",
    cell?.n && `${count(cell.n)} images`,
  ].filter(Boolean).join(" · ");
}

const cellOf = (results, model, split, metric) => (model === null ? null : results.get(model, split, metric));

function signed(difference) {
  const text = number(Math.abs(difference), 3);
  return difference > 0 ? `+${text}` : difference < 0 ? `−${text}` : text;
}
