// What somebody dropped or chose: an archive, or a folder's images in one order.

const IMAGES = /\.(jpe?g|jpe|jfif|png|webp|bmp|tiff?)$/i;
const BESIDE = ["classes.json", "groups.csv", "metadata.csv"];
const encoder = new TextEncoder();

/** {name, entries: [{name, file}]} of a folder, {file} of an archive, or null for nothing. */
export async function dropped(transfer) {
  const items = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folders = items.filter((item) => item.isDirectory);
  if (folders.length === 1 && items.length === 1) return folder(folders[0].name, await within(folders[0], ""));
  if (folders.length > 0) {
    const all = await Promise.all(items.map((item) => (item.isDirectory ? within(item, `${item.name}/`) : fileOf(item, item.name))));
    return folder("images", all.flat()); // several split folders at once
  }
  const [file] = transfer.files;
  return file ? { file } : null;
}

/** The same of an <input type="file">, with or without `webkitdirectory`. */
export function chosen(files) {
  if (!files.length) return null;
  const [first] = files;
  if (!first.webkitRelativePath) return { file: first };
  const [root] = first.webkitRelativePath.split("/");
  return folder(root, [...files].map((file) => ({ name: file.webkitRelativePath.slice(root.length + 1), file })));
}

/** Images and what is said of them, in the order of `lipsum push`: folder by folder, by code point. */
export function folder(name, entries) {
  const kept = entries.filter((entry) => IMAGES.test(entry.name) || BESIDE.includes(entry.name.split("/").at(-1)));
  const keyed = kept.map((entry) => ({ ...entry, key: entry.name.split("/").map((part) => encoder.encode(part)) }));
  keyed.sort((a, b) => byParts(a.key, b.key));
  return { name: `${name}.zip`, entries: keyed.map(({ name: path, file }) => ({ name: path, file })), left: entries.length - kept.length };
}

function byParts(a, b) {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    const order = byBytes(a[at], b[at]);
    if (order) return order;
  }
  return a.length - b.length;
}

// UTF-8's order is that of code points, which UTF-16's is not.
function byBytes(a, b) {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

async function within(directory, prefix) {
  const found = [];
  const reader = directory.createReader();
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return found; // a batch is at most a hundred
    for (const item of batch) {
      if (item.isDirectory) found.push(...(await within(item, `${prefix}${item.name}/`)));
      else found.push(...(await fileOf(item, `${prefix}${item.name}`)));
    }
  }
}

const fileOf = (item, name) => new Promise((resolve, reject) => item.file((file) => resolve([{ name, file }]), reject));
