// Sending in parts, and going on with what the service has already: the same file or folder, chosen
// again, finds its upload by name and size, and parts whose digests agree are passed over.

import { ApiError, Unreachable, all, ask, post } from "../../core/api.js";

export const PART = 8 * 1024 * 1024; // bytes, as `lipsum push` has them
const IN_FLIGHT = 2;
const PURPOSE = "fine-tune";
const STALLED = 120_000; // milliseconds for a part
const WAITS = [1000, 2000, 4000, 8000, 15_000]; // milliseconds before a part is sent again
const MOST_PARTS = 10_000;

/**
 * Sends `source` ({name, size, read(start, end)}) and returns the file's object. `progress({sent, passed,
 * state})` is told bytes that the service has, how many of these it had before, and "sending" | "waiting" | "completing".
 * Throws ApiError with the service's sentence, or the AbortError of `signal`.
 */
export async function send(source, { signal, progress }) {
  const size = partSize(source.size);
  let { id, parts } = await begun(source, size);
  let sent = 0;
  let passed = 0;
  const tell = (state) => progress({ sent, passed, state });
  tell("sending");

  const one = async (number) => {
    const [start, end] = [(number - 1) * size, Math.min(source.size, number * size)];
    const bytes = await source.read(start, end);
    const digest = await sha256(bytes);
    if (digest && parts.get(number) === digest) passed += bytes.length;
    else if (digest && parts.has(number)) throw new AnotherFile();
    else await patiently(() => put(id, number, bytes, digest, signal), signal, tell);
    sent += bytes.length;
    tell("sending");
  };

  const count = Math.max(1, Math.ceil(source.size / size));
  try {
    await inParallel(count, one, signal);
  } catch (error) {
    if (!(error instanceof AnotherFile)) throw error;
    // The unfinished upload is of another file with this name and size, or of one that changed since.
    ({ id, parts } = await begin(source));
    [sent, passed] = [0, 0];
    await inParallel(count, one, signal);
  }
  tell("completing");
  const upload = await patiently(() => post(`/v1/uploads/${id}/complete`, {}, { signal }), signal, tell);
  return upload.file;
}

class AnotherFile extends Error {}

/** 8 MiB, or more where that would be too many parts. */
export function partSize(total) {
  let size = PART;
  while (total > size * MOST_PARTS) size *= 2;
  return size;
}

async function begun(source, size) {
  const found = await all(`/v1/uploads?status=pending&filename=${encodeURIComponent(source.name)}`, 100);
  const match = found.find((upload) => upload.bytes === source.size && upload.purpose === PURPOSE);
  if (!match) return begin(source);
  const parts = await all(`/v1/uploads/${match.id}/parts`, MOST_PARTS);
  if (parts.some((part) => part.part_number === null || (part.part_number < source.size / size && part.bytes !== size))) return begin(source);
  return { id: match.id, parts: new Map(parts.map((part) => [part.part_number, part.sha256])) };
}

async function begin(source) {
  const upload = await post("/v1/uploads", { filename: source.name, bytes: source.size, purpose: PURPOSE, mime_type: "application/zip" });
  return { id: upload.id, parts: new Map() };
}

function put(id, number, bytes, digest, signal) {
  const body = new FormData();
  body.set("part_number", String(number));
  if (digest) body.set("sha256", digest);
  body.set("data", new Blob([bytes]), "part");
  return ask("POST", `/v1/uploads/${id}/parts`, { body, signal: AbortSignal.any([signal, AbortSignal.timeout(STALLED)]) });
}

// Until it is taken: a network that is away comes back, and so does a service.
async function patiently(work, signal, tell) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const passes = error instanceof Unreachable || (error instanceof ApiError && (error.status === 429 || error.status >= 500) && error.status !== 507);
      if (!passes) throw error;
      tell("waiting");
      await pause(Math.max(WAITS[Math.min(tries, WAITS.length - 1)], 1000 * (error.retryAfter ?? 0)), signal);
    }
  }
}

async function inParallel(count, work, signal) {
  let next = 1;
  const lane = async () => {
    while (next <= count) {
      signal.throwIfAborted();
      const number = next;
      next += 1;
      await work(number);
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, count) }, lane));
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
    addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

// Null where the page came over plain http from another host: browsers have no digests there.
async function sha256(bytes) {
  if (!crypto.subtle) return null;
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
