// Asking again and again, while somebody looks.

import { ApiError, Unreachable } from "./api.js";

const LONGEST = 30_000; // milliseconds between questions to a service that is away

/**
 * Calls `work` every `milliseconds`, not while the tab is hidden, and more and more seldom while
 * the service cannot be reached or is too busy. `trouble` is told of a fault, and null once it is over.
 * Returns what stops it. `work` may return false to end it.
 */
export function poll(work, milliseconds, trouble = () => {}) {
  let timer = null;
  let stopped = false;
  let wait = milliseconds;
  const turn = async () => {
    timer = null;
    if (document.hidden) return; // until somebody looks again
    try {
      if ((await work()) === false) return stop();
      wait = milliseconds;
      trouble(null);
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof ApiError)) throw error;
      wait = Math.min(LONGEST, Math.max(2 * wait, 1000 * (error.retryAfter ?? 0)));
      trouble(error);
    }
    if (!stopped) timer = setTimeout(turn, wait);
  };
  const seen = () => {
    if (!document.hidden && timer === null && !stopped) turn();
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
  document.addEventListener("visibilitychange", seen);
  turn();
  return stop;
}
