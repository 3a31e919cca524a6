// Finished jobs as columns of one table: what each measured, split by split.

import { modelsOf } from "../result/models.js";
import { verdict } from "../result/metrics.js";
import { Results } from "../result/rows.js";

/**
 * Of a job: {id, title, job, results, model, reference}; `model` is the one that it made, `reference` its
 * zero-shot one, null where that was not scored.
 */
export function columnOf(job) {
  const results = new Results(job.results ?? []);
  const { made, reference } = modelsOf(job, results);
  return { id: job.id, title: job.suffix ?? job.id, job, results, model: made, reference };
}

/** The same columns, those of one suffix told apart by their method, or by their id where that is the same too. */
export function distinct(columns) {
  const isAlone = (title, of) => columns.filter((column) => of(column) === title).length === 1;
  const byMethod = ({ title, job }) => `${title} (${job.method.type})`;
  return columns.map((column) => {
    if (isAlone(column.title, ({ title }) => title)) return column;
    const title = byMethod(column);
    return { ...column, title: isAlone(title, byMethod) ? title : `${column.title} (${column.id})` };
  });
}

/** The zero-shot model of a job, as a column of its own. */
export const zeroShotOf = (column) => ({ ...column, id: "zero_shot", title: "zero-shot", model: column.reference });

/**
 * The rows of a metric: ID, every shifted split, their mean, and validation. Each is {title, note, cells};
 * a cell is null or {value, low, high, sd, change, isBest}, its change against the first column's.
 */
export function rowsOf(columns, metric) {
  const splits = [...new Set(columns.flatMap((column) => column.results.splits))];
  const own = (split) => split === "val" || split === "test";
  const idSplit = splits.includes("test") ? "test" : "val";
  const shifted = splits.filter((split) => !own(split));
  const row = (title, note, cellOf) => ({ title, note, cells: judged(columns.map(cellOf), metric) });
  const ofSplit = (split, note) => row(split, note, (column) => column.results.get(column.model, split, metric));
  const rows = [ofSplit(idSplit, "ID"), ...shifted.map((split) => ofSplit(split, "shifted"))];
  if (shifted.length > 1) rows.push(row("mean over shifted splits", shifted.join(", "), (column) => meanOf(column, shifted, metric)));
  if (idSplit === "test" && splits.includes("val")) rows.push(ofSplit("val", "chooses the checkpoint: optimistic"));
  return rows.filter(({ cells }) => cells.some(Boolean));
}

/** The metrics that any of the columns has, in the order of `known`. */
export const metricsOf = (columns, known) => known.filter((metric) => columns.some((column) => column.results.metrics.includes(metric)));

// Only of those that measured the same splits: a mean over fewer is another number.
function meanOf(column, shifted, metric) {
  const cells = shifted.map((split) => column.results.get(column.model, split, metric));
  if (cells.some((cell) => cell === null)) return null;
  return {
    value: cells.reduce((sum, cell) => sum + cell.value, 0) / cells.length,
    low: null,
    high: null,
    sd: null,
    selection: cells.some((cell) => cell.selection),
  };
}

function judged(cells, metric) {
  const [first] = cells;
  const isMeasured = (cell) => cell !== null;
  return cells.map((cell, place) => {
    if (!cell) return null;
    const others = cells.filter((each, at) => isMeasured(each) && at !== place);
    const isBest = others.length > 0 && others.every((other) => verdict(metric, cell.value - other.value) !== "worse") && others.some(
      (other) => verdict(metric, cell.value - other.value) === "better",
    );
    return { ...cell, change: place > 0 && first ? cell.value - first.value : null, isBest };
  });
}
