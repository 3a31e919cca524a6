// What a job has said and measured so far, and how far a reader has come in it.

import { get } from "../../core/api.js";
import { START, isAfter, written } from "./places.js";

const EVENTS = 100; // of a page
const STEPS = 1000;

/**
 * Everything of one job once and in order, whichever way and however often it arrives. `tell` gets
 * {type: "event", event} and {type: "metrics", seed, step, values}.
 */
export class History {
  constructor(jobId, tell) {
    this.jobId = jobId;
    this.path = `/v1/fine_tuning/jobs/${encodeURIComponent(jobId)}`;
    this.sequence = 0;
    this.place = START;
    this.tell = tell;
  }

  /** An event that came. False where one before it is missing. */
  event(event) {
    if (event.sequence <= this.sequence) return true;
    if (event.sequence > this.sequence + 1) return false;
    this.sequence = event.sequence;
    this.tell({ type: "event", event });
    return true;
  }

  /** Metrics of a step that came after those at `previous`. False where this reader has not those. */
  metrics(measured, previous) {
    if (!isAfter(measured, this.place)) return true;
    if (isAfter(previous, this.place)) return false;
    this.place = { seed: measured.seed, step: measured.step };
    this.tell({ type: "metrics", ...measured });
    return true;
  }

  /** Asks for all that is missing. */
  async catchUp() {
    for (let more = true; more; ) {
      const page = await get(`${this.path}/events?order=asc&limit=${EVENTS}&after=${this.sequence}`);
      for (const event of page.data) this.event(event);
      more = page.has_more;
    }
    for (let more = true; more; ) {
      const page = await get(`${this.path}/metrics?limit=${STEPS}&after=${written(this.place)}`);
      for (const measured of page.data) this.metrics(measured, this.place);
      more = page.has_more;
    }
  }
}
