// One stream of a job for all tabs of the browser. HTTP/1.1 allows six connections to a host, so a
// seventh stream would hang every tab: the first tab that shows a job opens its stream and tells the
// others; when it closes, the next takes over. Of different jobs at most four streams are open, and
// whoever comes later asks every two seconds instead.

import { History } from "./history.js";
import { asking, stream } from "./source.js";

const STREAMS = 4;

/**
 * Follows a job from its first event to its end. `tell` gets {type: "event", event}, {type: "metrics",
 * seed, step, values}, {type: "state", state: "live" | "asking" | "waiting"} and {type: "done", status}, each event and
 * step once and in order. Resolves when what there is already was told. Returns what stops it.
 */
export async function follow(jobId, tell) {
  const history = new History(jobId, tell);
  const channel = new BroadcastChannel(`lipsum-job-${jobId}`);
  const leaving = new AbortController();
  let catching = null;

  const take = (news) => {
    if (news.type === "event" && !history.event(news.event)) catchUp();
    else if (news.type === "metrics" && !history.metrics(news.measured, news.previous)) catchUp();
    else if (news.type === "state") tell(news);
    else if (news.type === "done") end(news.status);
  };
  const catchUp = () => {
    catching ??= history.catchUp().finally(() => {
      catching = null;
    });
    return catching;
  };
  const end = async (status) => {
    leaving.abort();
    await catchUp();
    channel.close();
    tell({ type: "done", status });
  };

  channel.addEventListener("message", (message) => take(message.data));
  await catchUp();
  lead(jobId, leaving.signal, (open) => open(history, (news) => (channel.postMessage(news), take(news))));
  return () => {
    leaving.abort();
    channel.close();
  };
}

// Waits until this tab is the job's first, then holds a stream if one is free.
async function lead(jobId, signal, run) {
  if (!navigator.locks) {
    const stop = run(asking);
    signal.addEventListener("abort", stop);
    return;
  }
  const untilLeaving = (open) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const stop = run(open);
      signal.addEventListener("abort", () => (stop(), resolve()));
    });
  try {
    await navigator.locks.request(`lipsum-job-${jobId}`, { signal }, () => withSlot(0, untilLeaving));
  } catch (error) {
    if (error.name !== "AbortError") throw error; // this tab left before its turn came
  }
}

function withSlot(number, use) {
  if (number === STREAMS) return use(asking);
  return navigator.locks.request(`lipsum-stream-${number}`, { ifAvailable: true }, (lock) => (lock ? use(stream) : withSlot(number + 1, use)));
}
