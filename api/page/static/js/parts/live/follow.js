// One stream of a job for all tabs of the browser. HTTP/1.1 allows six connections to a host, so a
// seventh stream would hang every tab: the first tab that shows a job opens its stream and tells the
// others; when it closes, the next takes over. Of different jobs at most four streams are open, and
// whoever comes later asks every two seconds instead.

import { ApiError, Unreachable } from "../../core/api.js";
import { asking, stream } from "./source.js";

const STREAMS = 4;
const ASKED = 30_000; // milliseconds that a tab without a stream asks before it tries to have one again
const AGAIN = [300, 1000, 3000, 10_000]; // milliseconds before a service that is away is asked again

/**
 * Follows a job from where its `History` stands to the job's end. What it tells there, and through
 * `tell`: {type: "state", state: "live" | "asking" | "waiting"} and, at the end, {type: "done", status}.
 * Resolves when what there is already was told. Returns what stops it.
 */
export async function follow(history, tell) {
  const channel = new BroadcastChannel(`lipsum-job-${history.jobId}`);
  const leaving = new AbortController();
  const { signal } = leaving;
  let catching = null;
  let isBehind = false;
  let led = null; // what this tab said last of the stream that it has for all

  const take = (news) => {
    if (signal.aborted) return;
    if (news.type === "event" && !history.event(news.event)) catchUp();
    else if (news.type === "metrics" && !history.metrics(news.measured, news.previous)) catchUp();
    else if (news.type === "state") tell(news);
    else if (news.type === "done") end(news.status);
  };
  const share = (news) => {
    if (news.type === "state") led = news;
    channel.postMessage(news);
    take(news);
  };
  // What comes while the history is asked for may not be in the answer: it is asked for again then.
  const catchUp = () => {
    isBehind = true;
    catching ??= (async () => {
      while (isBehind) {
        isBehind = false;
        await persistently(() => history.catchUp(), () => tell({ type: "state", state: "waiting" }));
      }
    })().finally(() => (catching = null));
    return catching;
  };
  const end = async (status) => {
    leaving.abort();
    await catchUp();
    tell({ type: "done", status });
  };
  const heard = ({ data: news }) => {
    if (news.type === "who" && led) channel.postMessage(led);
    else take(news);
  };

  channel.addEventListener("message", heard);
  signal.addEventListener("abort", () => channel.close());
  await catchUp();
  channel.postMessage({ type: "who" }); // has the stream, and how does it stand?
  lead(history, signal, share, take, () => (led = null));
  return () => leaving.abort();
}

// Waits until this tab is the job's first and holds a stream if one is free; without one every tab
// asks by itself, since a tab that is not looked at would do so too seldom for the others.
async function lead(history, signal, share, take, left) {
  const { jobId } = history;
  while (!signal.aborted) {
    if (navigator.locks) {
      try {
        await navigator.locks.request(`lipsum-job-${jobId}`, { signal }, () => withSlot(0, () => until(signal, null, (over) => stream(history, share, over))));
      } catch (error) {
        if (error.name !== "AbortError") throw error; // this tab left before its turn came
      }
      left();
    }
    if (!signal.aborted) await until(signal, navigator.locks ? ASKED : null, () => asking(history, take));
  }
}

async function withSlot(number, use) {
  if (number === STREAMS) return;
  await navigator.locks.request(`lipsum-stream-${number}`, { ifAvailable: true }, (lock) => (lock ? use() : withSlot(number + 1, use)));
}

// Runs until the tab leaves, the time is over or the work itself says so; then it is stopped.
function until(signal, milliseconds, start) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      stop();
      resolve();
    };
    const timer = milliseconds && setTimeout(over, milliseconds);
    const stop = start(over);
    signal.addEventListener("abort", over);
  });
}

// A service that is away or too busy comes back; any other refusal is final.
async function persistently(work, trouble) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      const passes = error instanceof Unreachable || (error instanceof ApiError && (error.status >= 500 || error.status === 429));
      if (!passes) throw error;
      trouble();
      await new Promise((resolve) => setTimeout(resolve, AGAIN[Math.min(failures, AGAIN.length - 1)]));
    }
  }
}
