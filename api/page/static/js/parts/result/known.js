// What is known of a job's models: its own results, and interpolations that other jobs scored for it.

import { Results, alphaOf } from "./rows.js";

export class Known {
  constructor(job) {
    this.job = job;
    this.rows = [...job.results];
    this.sources = new Map(job.results.map((row) => [row.model, job]));
  }

  /** Takes in the interpolations of a job about the same line. Whether there were any. */
  take(other) {
    const isNew = (row) => alphaOf(row.model) !== null && !this.sources.has(row.model);
    const rows = other.results.filter(isNew);
    this.rows.push(...rows);
    for (const row of rows) this.sources.set(row.model, other);
    return rows.length > 0;
  }

  /** The table, over all seeds or of one of them; what was scored once is beside each. */
  results(seed = null) {
    const once = new Map();
    for (const row of this.rows) once.set(row.model, (once.get(row.model) ?? new Set()).add(row.seed));
    return new Results(seed === null ? this.rows : this.rows.filter((row) => row.seed === seed || once.get(row.model).size === 1));
  }

  /** The job whose predictions that model's are. */
  sourceOf(model) {
    return this.sources.get(model);
  }
}
