// Trying again until it is taken: a network that is away comes back, and so does a service.

import { ApiError, Unreachable } from "../../core/api.js";

const WAITS = [1000, 2000, 4000, 8000, 15_000]; // milliseconds before the next try
const FAULTS = 5; // tries against a service that fails, rather than being away

/** What `work` resolves to. `trouble(error)` is told why it waits; what waiting does not mend is thrown. */
export async function patiently(work, { signal, trouble }) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!passes(error, tries)) throw error;
      trouble(error);
      await pause(Math.max(WAITS[Math.min(tries, WAITS.length - 1)], 1000 * (error.retryAfter ?? 0)), signal);
    }
  }
}

function passes(error, tries) {
  if (error instanceof Unreachable) return true;
  if (!(error instanceof ApiError)) return false;
  if (error.status === 429) return error.code !== "insufficient_quota"; // which no waiting mends
  if (error.status === 409) return error.code === "busy";
  if (error.status === 500) return tries < FAULTS;
  return [502, 503, 504].includes(error.status);
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const over = () => {
      clearTimeout(timer);
      removeEventListener("online", over);
      signal.removeEventListener("abort", over);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(over, milliseconds);
    addEventListener("online", over); // the browser knows first
    signal.addEventListener("abort", over);
  });
}
