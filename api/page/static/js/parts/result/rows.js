// A job's result rows by model, split and metric, averaged over seeds.

const OWN = ["val", "test"];

/** What `job.results` says. */
export class Results {
  constructor(rows) {
    this.seeds = [...new Set(rows.map((row) => row.seed))];
    this.models = [...new Set(rows.map((row) => row.model))];
    const splits = [...new Set(rows.map((row) => row.split))];
    this.splits = [...splits.filter((split) => OWN.includes(split)).toSorted((a, b) => OWN.indexOf(b) - OWN.indexOf(a)), ...splits.filter((split) => !OWN.includes(split))];
    this.metrics = [...new Set(rows.map((row) => row.metric))];
    this.cells = new Map();
    for (const row of rows) {
      const key = keyOf(row.model, row.split, row.metric);
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(row);
    }
  }

  /** The split that stands for the training distribution. */
  get id() {
    return this.splits.includes("test") ? "test" : "val";
  }

  get shifted() {
    return this.splits.filter((split) => !OWN.includes(split));
  }

  /** {value, low, high, sd, n, selection} over the seeds (or one of them); null where nothing was measured. */
  get(model, split, metric, seed = null) {
    const rows = (this.cells.get(keyOf(model, split, metric)) ?? []).filter((row) => (seed === null || row.seed === seed) && row.value !== null);
    if (!rows.length) return null;
    const one = rows.length === 1;
    return {
      value: mean(rows.map((row) => row.value)),
      low: one ? rows[0].low : null,
      high: one ? rows[0].high : null,
      sd: one ? null : deviation(rows.map((row) => row.value)),
      n: rows[0].n,
      selection: rows.some((row) => row.selection),
    };
  }

  /** The mean over shifted splits, each with equal weight; null without any. */
  shift(model, metric, seed = null) {
    const values = this.shifted.map((split) => this.get(model, split, metric, seed)?.value ?? null);
    return values.length && values.every((value) => value !== null) ? mean(values) : null;
  }

  /** [{alpha, model}] of what lies on the line from zero-shot to `end`, those two among them. */
  line(end) {
    const ends = [{ alpha: 0, model: "zero_shot" }, { alpha: 1, model: end }].filter((point) => this.models.includes(point.model));
    const between = this.models.map((model) => ({ alpha: alphaOf(model), model })).filter(({ alpha }) => alpha !== null && !ends.some((each) => each.alpha === alpha));
    return [...ends, ...between].toSorted((a, b) => a.alpha - b.alpha);
  }
}

/** Of the name of an interpolation; null of any other model's. */
export function alphaOf(model) {
  const found = /^wise_ft@(.+)$/.exec(model);
  return found ? Number(found[1]) : null;
}

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** With n - 1 below. */
export function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

const keyOf = (...parts) => parts.join("\u0000");
