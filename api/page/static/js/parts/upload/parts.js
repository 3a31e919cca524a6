// Which parts there are, and which upload they belong to: the same file or folder, chosen again, finds
// what was begun with it by its name and size, as `lipsum push` does.

import { all, post } from "../../core/api.js";
import { remembered } from "./remembered.js";

export const PART = 8 * 1024 * 1024; // bytes, as `lipsum push` has them
const MOST_PARTS = 10_000;
const MOST_PENDING = 200;
const PURPOSE = "fine-tune";

/** Bytes of a part: 8 MiB, or more where that would be too many parts. */
export function partSize(total) {
  let size = PART;
  while (total > size * MOST_PARTS) size *= 2;
  return size;
}

/** [start, end] of every part, the first one's number being 1. */
export function plan(total) {
  const size = partSize(total);
  return Array.from({ length: Math.ceil(total / size) }, (_, index) => [index * size, Math.min(total, (index + 1) * size)]);
}

/** {upload, there}: what was begun with such a source, or a new upload; `there` has digests by part. */
export async function begun(source, signal) {
  for (const upload of await pending(signal)) {
    if (!isAs(upload, source)) continue;
    const parts = await partsOf(upload, signal);
    if (fit(parts, plan(source.size))) return { upload, there: new Map(parts.map((part) => [part.part_number, part.sha256])) };
  }
  return begin(source, signal);
}

export async function begin(source, signal) {
  const upload = await post("/v1/uploads", { filename: source.name, bytes: source.size, purpose: PURPOSE, mime_type: source.type }, { signal });
  return { upload, there: new Map() };
}

export const pending = (signal) => all("/v1/uploads?status=pending", MOST_PENDING, { signal });

/** Whether it was begun with something of this name and size. The service keeps names without what cannot be seen. */
export function isAs(upload, source) {
  const name = remembered(upload.id)?.name ?? upload.filename;
  return name === source.name && upload.bytes === source.size && upload.purpose === PURPOSE;
}

export const partsOf = (upload, signal) => all(`/v1/uploads/${upload.id}/parts`, MOST_PARTS, { signal });

// Other clients may have sent parts of other sizes, or without numbers.
const fit = (parts, ranges) => parts.every((part) => {
  const range = ranges[part.part_number - 1];
  return range !== undefined && part.bytes === range[1] - range[0];
});
