// One part on its way. XMLHttpRequest, since fetch says nothing of how much has gone out: without that a
// slow line cannot be told from one on which nothing moves any more.

import { ApiError, Unreachable, signIn } from "../../core/api.js";

const STILL = 30_000; // milliseconds without a byte going out
const UNANSWERED = 120_000; // milliseconds for the answer, once all went out

/**
 * Resolves when the service has the part; `progress(bytes)` is told how much went out. Throws as `ask`
 * does: ApiError, Unreachable, or the reason of `signal`.
 */
export function putPart(upload, number, bytes, digest, { signal, progress }) {
  const form = new FormData();
  form.set("part_number", String(number));
  if (digest) form.set("sha256", digest);
  form.set("data", new Blob([bytes]), "part");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let watchdog = null;
    const watch = (milliseconds) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => request.abort(), milliseconds);
    };
    const stop = () => request.abort();
    request.upload.addEventListener("progress", (event) => {
      watch(STILL);
      progress(Math.min(event.loaded, bytes.length)); // the form around the part is no part of it
    });
    request.upload.addEventListener("load", () => watch(UNANSWERED));
    request.addEventListener("loadend", () => {
      clearTimeout(watchdog);
      signal.removeEventListener("abort", stop);
      if (signal.aborted) reject(signal.reason);
      else if (request.status === 0) reject(new Unreachable());
      else if (request.status === 401) signIn(); // the page is about to go
      else if (request.status >= 300) reject(refusal(request));
      else resolve();
    });
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", stop);
    request.open("POST", `/v1/uploads/${upload.id}/parts`);
    watch(STILL);
    return request.send(form);
  });
}

function refusal(request) {
  return new ApiError(request.status, errorOf(request.responseText), Number(request.getResponseHeader("retry-after")) || null);
}

function errorOf(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return null; // a proxy's words: the status has to do
  }
}
