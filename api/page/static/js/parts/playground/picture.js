// An image that somebody gave, drawn to a canvas: the page's policy has no addresses for local files.

import { h } from "../../core/dom.js";

const SIDE = 320; // pixels on the page

/** A canvas of the file, or a sentence where the browser cannot decode it (the service may). */
export async function picture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return h("p", { class: "muted" }, `${file.name}: this browser cannot show it.`);
  }
  const factor = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", { width: Math.max(1, Math.round(bitmap.width * factor)), height: Math.max(1, Math.round(bitmap.height * factor)), role: "img", "aria-label": file.name });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

/** The file's bytes in base64. */
export async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
