// What somebody dropped or chose: an archive, or a folder's images in one order.

import { Unusable } from "./reading.js";

const IMAGES = /\.(jpe?g|jpe|jfif|png|webp|bmp|tiff?)$/i;
const BESIDE = ["classes.json", "groups.csv", "metadata.csv"];
const SEVERAL = "images"; // the name of several folders together
const encoder = new TextEncoder();

/**
 * {name, entries: [{name, file}], left} of a folder, {file} of an archive, or null for nothing. `left` is
 * how many files are no images. Throws Unusable. What was dropped is only there until this first waits.
 */
export async function dropped(transfer) {
  const files = [...transfer.files];
  const items = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folders = items.filter((item) => item.isDirectory);
  if (!folders.length) return oneArchive(files);
  if (items.length === 1) return folder(folders[0].name, await within(folders[0], ""));
  const all = await Promise.all(items.map((item) => (item.isDirectory ? within(item, `${item.name}/`) : fileOf(item, item.name))));
  return folder(SEVERAL, all.flat());
}

/** The same of an <input type="file">, with or without `webkitdirectory`. */
export function chosen(files) {
  const [first] = files;
  if (!first?.webkitRelativePath) return oneArchive([...files]);
  const [root] = first.webkitRelativePath.split("/");
  return folder(root, [...files].map((file) => ({ name: file.webkitRelativePath.slice(root.length + 1), file })));
}

/** Images and what is said of them, in the order of `lipsum push`: folder by folder, by code point. */
export function folder(name, entries) {
  const kept = entries.filter((entry) => IMAGES.test(entry.name) || isBeside(entry.name));
  const images = kept.filter((entry) => !isBeside(entry.name)).length;
  if (!images) throw new Unusable(`There is no image in ${name}. Choose a folder in which each class has a folder of images.`);
  const keyed = kept.map((entry) => ({ ...entry, key: entry.name.split("/").map((part) => encoder.encode(part)) }));
  keyed.sort((a, b) => inOrder(a.key, b.key, inOrderOfBytes));
  return { name, entries: keyed.map(({ name: path, file }) => ({ name: path, file })), images, left: entries.length - kept.length };
}

function oneArchive(files) {
  if (files.length > 1) throw new Unusable(`These are ${files.length} files. Choose the folder that they lie in, or one archive.`);
  return files.length ? { file: files[0] } : null;
}

const isBeside = (path) => BESIDE.includes(path.split("/").at(-1));

function inOrder(a, b, compare) {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    const order = compare(a[at], b[at]);
    if (order) return order;
  }
  return a.length - b.length;
}

// UTF-8's order is that of code points, which UTF-16's is not.
const inOrderOfBytes = (a, b) => inOrder(a, b, (x, y) => x - y);

async function within(directory, prefix) {
  const found = [];
  const reader = directory.createReader();
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(cannotRead(prefix || directory.name));
    if (!batch.length) return found; // a batch is at most a hundred
    for (const item of batch) {
      if (item.isDirectory) found.push(...(await within(item, `${prefix}${item.name}/`)));
      else found.push(...(await fileOf(item, `${prefix}${item.name}`)));
    }
  }
}

const fileOf = (item, name) => new Promise((resolve, reject) => item.file((file) => resolve([{ name, file }]), reject)).catch(cannotRead(name));

const cannotRead = (path) => (error) => {
  throw new Unusable(`${path} cannot be read. Is it still there, and may you read it?`, { cause: error });
};
