// Where images come from: dropped anywhere on the page, chosen, or pasted.

import { h } from "../../core/dom.js";

/** The place to drop images on; `add(files)` gets them. */
export function dropZone(add) {
  const input = h("input", { type: "file", id: "images", accept: "image/*,.tif,.tiff", multiple: true, hidden: true });
  const button = h("button", { type: "button", onclick: () => input.click() }, "Choose images");
  const zone = h(
    "div",
    { class: "drop" },
    h("p", {}, "Drop images here, or paste one."),
    button,
    input,
    h("p", { class: "muted small" }, "They go to this service and are not kept."),
  );
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
  // A drop beside the zone would leave the page for the image.
  let inside = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (by) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    inside = Math.max(0, inside + by);
    zone.classList.toggle("over", inside > 0);
  };
  addEventListener("dragenter", mark(1));
  addEventListener("dragleave", mark(-1));
  addEventListener("dragover", mark(0));
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    inside = 0;
    zone.classList.remove("over");
    add([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return; // a text goes where the cursor is
    event.preventDefault();
    add(files);
  });
  return zone;
}

/** The file as the API takes it: base64 behind a prefix. Rejects with what to do. */
export function encoded(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(new Unreadable(file)));
    reader.readAsDataURL(file);
  });
}

/** The browser could not read the file: it is a folder, or has gone. */
export class Unreadable extends Error {
  constructor(file) {
    super(`${file.name} could not be read. It may be a folder, or have changed meanwhile; choose it again.`);
  }
}

/** The image, small, on a canvas: the page's policy lets no address of the browser's own be shown. */
export async function drawPreview(canvas, file, longest = 480) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return false; // a format that the service may well read, and the browser does not
  }
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return true;
}
