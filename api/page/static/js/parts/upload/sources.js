// What was chosen as something that can be sent: its size is known before, and any of its bytes can be
// had again.

import { count, several } from "../../core/format.js";
import { FolderZip } from "./folder_zip.js";
import { Unusable, bytesOf } from "./reading.js";

// What people have in its place. What a file is, is seen in its bytes.
const REFUSED = [
  ["a RAR archive", [0x52, 0x61, 0x72, 0x21]],
  ["a 7-Zip archive", [0x37, 0x7a, 0xbc, 0xaf]],
  ["packed with xz", [0xfd, 0x37, 0x7a, 0x58]],
  ["packed with bzip2", [0x42, 0x5a, 0x68]],
  ["one image", [0xff, 0xd8, 0xff]],
  ["one image", [0x89, 0x50, 0x4e, 0x47]],
  ["a PDF document", [0x25, 0x50, 0x44, 0x46]],
];
const TAKEN = "Drop the folder itself, or a ZIP, TAR (also with gzip or Zstandard) or Parquet file of it.";
const LONGEST = 4; // bytes of those

/** {name, size, type, folder, files, about, read(start, end)} of what `pick.js` gives. Throws Unusable. */
export async function sourceOf(picked) {
  return picked.file ? archive(picked.file) : zipOf(picked);
}

async function archive(file) {
  if (!file.size) throw new Unusable(`${file.name} is empty.`);
  const start = await bytesOf(file, 0, Math.min(file.size, LONGEST));
  const what = REFUSED.find(([, magic]) => magic.every((byte, at) => start[at] === byte))?.[0];
  if (what) throw new Unusable(`${file.name} is ${what}. ${TAKEN}`);
  const type = file.type || "application/octet-stream";
  const read = (from, to) => bytesOf(file, from, to);
  return { name: file.name, size: file.size, type, folder: false, files: 1, about: "", read };
}

function zipOf({ name, entries, images, left }) {
  const zip = new FolderZip(entries);
  const about = `${several(images, "image")}${left ? `; other files are left out: ${count(left)}` : ""}`;
  const read = (from, to) => zip.read(from, to);
  return { name: `${name}.zip`, size: zip.size, type: "application/zip", folder: true, files: entries.length, about, read };
}
