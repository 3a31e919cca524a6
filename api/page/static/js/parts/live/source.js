// A job's stream for as long as it goes on: opened again after whatever cut or stalled it.

import { get } from "../../core/api.js";
import { poll } from "../../core/poll.js";
import { ENDED } from "../status.js";
import { written } from "./places.js";

const SILENCE = 40_000; // milliseconds; the server is never silent for more than 15 s, which only it knows
const AGAIN = [300, 1000, 3000, 10_000, 10_000]; // milliseconds before a stream is opened again
const POLL = 2000;

/**
 * Feeds from the event stream, beginning where `history` stands. `take` is told {type: "event" | "metrics" |
 * "done" | "state"} as it comes; `giveUp` is called when no stream can be had for long. Returns what stops it.
 */
export function stream(history, take, giveUp) {
  let source = null;
  let timer = null;
  let failures = 0;
  let over = false;

  const rearm = (milliseconds) => {
    clearTimeout(timer);
    if (!over) timer = setTimeout(open, milliseconds);
  };
  // EventSource would ask again for what it asked first; the reader has come further since then.
  const open = () => {
    source?.close();
    const opened = new EventSource(`${history.path}/events?stream=true&after=${history.sequence}&metrics=${written(history.place)}`);
    source = opened;
    let previous = history.place;
    const came = (type, handle) =>
      opened.addEventListener(type, (message) => {
        rearm(SILENCE);
        handle(JSON.parse(message.data));
      });
    opened.addEventListener("open", () => {
      failures = 0;
      take({ type: "state", state: "live" });
    });
    came("message", (event) => take({ type: "event", event }));
    came("metrics", (measured) => {
      take({ type: "metrics", measured, previous });
      previous = measured;
    });
    came("done", (found) => {
      stop();
      take({ type: "done", status: found.status });
    });
    opened.addEventListener("error", () => {
      opened.close();
      take({ type: "state", state: "waiting" });
      if (failures === AGAIN.length) return giveUp();
      rearm(AGAIN[failures]);
      failures += 1;
    });
    rearm(SILENCE);
  };
  const stop = () => {
    over = true;
    clearTimeout(timer);
    source?.close();
  };
  open();
  return stop;
}

/** The same by asking, where no stream can be had: there are too many, or the page came over plain http. */
export function asking(history, take) {
  return poll(
    async () => {
      const job = await get(history.path); // before the events: the last of them are there then
      await history.catchUp();
      take({ type: "state", state: "asking" });
      if (!ENDED.includes(job.status)) return true;
      take({ type: "done", status: job.status });
      return false;
    },
    POLL,
    (error) => error && take({ type: "state", state: "waiting" }),
  );
}
