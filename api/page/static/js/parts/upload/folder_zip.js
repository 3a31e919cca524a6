// A folder as a ZIP that is nowhere: any range of its bytes can be made, and made again. Equal folders
// give the bytes that `lipsum push` gives, so that either can go on with what the other began.
// Format: APPNOTE.TXT 6.3.10, files stored, ZIP64 where a number does not fit.

import { crc32 } from "./crc32.js";
import { Unusable, bytesOf } from "./reading.js";

const [LOCAL, CENTRAL, END64, LOCATOR, END, OFFSET64] = [30, 46, 56, 20, 22, 12]; // bytes
const [NONE_16, NONE_32] = [0xffff, 0xffffffff]; // "see the ZIP64 field"
const [UTF8, FIRST_DAY, MADE_ON_UNIX, REGULAR_FILE] = [0x0800, 0x0021, 3 << 8, (0o100644 << 16) >>> 0];
const [PLAIN_VERSION, ZIP64_VERSION] = [20, 45];
const AT_ONCE = 4 * 1024 * 1024; // bytes of a file that are read together

export class FolderZip {
  /** `entries`: [{name, file}] in their order. Throws Unusable for a file of 4 GiB or more. */
  constructor(entries) {
    let offset = 0;
    this.entries = entries.map(({ name: path, file }) => {
      if (file.size >= NONE_32) throw new Unusable(`${path} has ${file.size} bytes; an image must be smaller than 4 GiB. Take it out.`);
      const raw = new TextEncoder().encode(path);
      const entry = { path, file, raw, offset, crc: null };
      offset += LOCAL + raw.length + file.size;
      return entry;
    });
    this.directoryOffset = offset;
    this.directorySize = this.entries.reduce((sum, entry) => sum + CENTRAL + entry.raw.length + (entry.offset >= NONE_32 ? OFFSET64 : 0), 0);
    const wide = this.entries.length >= NONE_16 || Math.max(this.directorySize, offset) >= NONE_32;
    this.isWide = wide;
    this.size = offset + this.directorySize + (wide ? END64 + LOCATOR : 0) + END;
    this.ending = null;
  }

  /** Bytes `start` to `end` of the archive. Throws Unusable where a file changed or went meanwhile. */
  async read(start, end) {
    const out = new Uint8Array(end - start);
    const put = (bytes, at) => {
      const [from, to] = [Math.max(start, at), Math.min(end, at + bytes.length)];
      if (from < to) out.set(bytes.subarray(from - at, to - at), from - start);
    };
    for (let index = this.#at(start); index < this.entries.length && this.entries[index].offset < end; index += 1) {
      const entry = this.entries[index];
      const data = entry.offset + LOCAL + entry.raw.length;
      if (data + entry.file.size <= start) continue; // the range begins behind the last one
      const small = entry.file.size <= AT_ONCE ? await bytesOf(entry.file, 0, entry.file.size, entry.path) : null; // read once
      if (start < data) put(await header(entry, small), entry.offset);
      if (small) put(small, data);
      else await this.#putLarge(entry, data, start, end, put);
    }
    if (end > this.directoryOffset) put(await this.#ending(), this.directoryOffset);
    return out;
  }

  // The last entry that begins at or before the offset.
  #at(offset) {
    let [low, high] = [0, this.entries.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.entries[middle].offset <= offset) low = middle;
      else high = middle - 1;
    }
    return Math.max(low, 0);
  }

  async #putLarge(entry, data, start, end, put) {
    const to = Math.min(end, data + entry.file.size);
    for (let at = Math.max(start, data); at < to; at += AT_ONCE) {
      put(await bytesOf(entry.file, at - data, Math.min(to, at + AT_ONCE) - data, entry.path), at);
    }
  }

  async #ending() {
    if (this.ending) return this.ending;
    const view = new DataView(new ArrayBuffer(this.size - this.directoryOffset));
    const bytes = new Uint8Array(view.buffer);
    let at = 0;
    for (const entry of this.entries) {
      const wide = entry.offset >= NONE_32;
      const version = wide ? ZIP64_VERSION : PLAIN_VERSION;
      view.setUint32(at, 0x02014b50, true);
      view.setUint16(at + 4, MADE_ON_UNIX | version, true);
      view.setUint16(at + 6, version, true);
      kept(view, at + 8, entry, await checksum(entry));
      view.setUint16(at + 30, wide ? OFFSET64 : 0, true);
      view.setUint32(at + 38, REGULAR_FILE, true);
      view.setUint32(at + 42, wide ? NONE_32 : entry.offset, true);
      bytes.set(entry.raw, at + CENTRAL);
      at += CENTRAL + entry.raw.length;
      if (wide) {
        view.setUint16(at, 0x0001, true);
        view.setUint16(at + 2, 8, true);
        view.setBigUint64(at + 4, BigInt(entry.offset), true);
        at += OFFSET64;
      }
    }
    const count = this.entries.length;
    if (this.isWide) {
      view.setUint32(at, 0x06064b50, true);
      view.setBigUint64(at + 4, BigInt(END64 - 12), true);
      view.setUint16(at + 12, MADE_ON_UNIX | ZIP64_VERSION, true);
      view.setUint16(at + 14, ZIP64_VERSION, true);
      const numbers = [count, count, this.directorySize, this.directoryOffset];
      numbers.forEach((value, index) => view.setBigUint64(at + 24 + 8 * index, BigInt(value), true));
      at += END64;
      view.setUint32(at, 0x07064b50, true);
      view.setBigUint64(at + 8, BigInt(this.directoryOffset + this.directorySize), true);
      view.setUint32(at + 16, 1, true);
      at += LOCATOR;
    }
    view.setUint32(at, 0x06054b50, true);
    view.setUint16(at + 8, Math.min(count, NONE_16), true);
    view.setUint16(at + 10, Math.min(count, NONE_16), true);
    view.setUint32(at + 12, Math.min(this.directorySize, NONE_32), true);
    view.setUint32(at + 16, Math.min(this.directoryOffset, NONE_32), true);
    this.ending = bytes;
    return bytes;
  }
}

async function header(entry, content) {
  const view = new DataView(new ArrayBuffer(LOCAL + entry.raw.length));
  view.setUint32(0, 0x04034b50, true);
  view.setUint16(4, PLAIN_VERSION, true);
  kept(view, 6, entry, await checksum(entry, content));
  const bytes = new Uint8Array(view.buffer);
  bytes.set(entry.raw, LOCAL);
  return bytes;
}

// What a local header and the directory say alike: flags to the length of the extra field.
function kept(view, at, entry, crc) {
  view.setUint16(at, UTF8, true);
  view.setUint16(at + 6, FIRST_DAY, true);
  view.setUint32(at + 8, crc, true);
  view.setUint32(at + 12, entry.file.size, true);
  view.setUint32(at + 16, entry.file.size, true);
  view.setUint16(at + 20, entry.raw.length, true);
}

async function checksum(entry, content = null) {
  if (entry.crc !== null) return entry.crc;
  const { file, path } = entry;
  let value = content ? crc32(content) : 0;
  for (let at = content ? file.size : 0; at < file.size; at += AT_ONCE) {
    value = crc32(await bytesOf(file, at, Math.min(file.size, at + AT_ONCE), path), value);
  }
  entry.crc = value;
  return value;
}
