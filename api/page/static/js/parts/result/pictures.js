// Images whose answer changed, cut from the one picture that the service draws of a page of them; the
// words are text.

import { ApiError, Unreachable, ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { percent } from "../../core/format.js";

// Where image n lies on the sheet, as the API says (GET .../predictions/sheet).
const SIDE = 112;
const IN_A_ROW = 12;
const left = (n) => 6 + 118 * (n % IN_A_ROW);
const top = (n) => 6 + 150 * Math.floor(n / IN_A_ROW);

/** The page's images as a list that begins behind `offset`; they appear once `sheet` has come. */
export function pictures(found, sheet, offset) {
  if (!found.data.length) return h("p", { class: "muted" }, "No image changed in that way.");
  const canvases = found.data.map(() => h("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" }));
  const wrong = h("div");
  const list = h("ol", { class: "flips", start: String(offset + 1), "aria-busy": "true" }, found.data.map((row, n) => h("li", {}, canvases[n], words(row))));
  draw(canvases, sheet)
    .catch((error) => {
      if (!(error instanceof ApiError) && !(error instanceof Unreachable)) throw error;
      for (const canvas of canvases) canvas.remove();
      show(wrong, h("p", { class: "muted" }, error.message));
    })
    .finally(() => list.setAttribute("aria-busy", "false"));
  return [wrong, h("div", { class: "flips-box", tabindex: "0", role: "region", "aria-label": "Images whose answer changed" }, list)];
}

async function draw(canvases, sheet) {
  const answer = await ask("GET", sheet, { raw: true });
  const picture = await createImageBitmap(await answer.blob());
  canvases.forEach((canvas, n) => canvas.getContext("2d").drawImage(picture, left(n), top(n), SIDE, SIDE, 0, 0, SIDE, SIDE));
  picture.close();
}

function words({ image, label, before, after }) {
  const answer = (what, { label: said, probability }) => [
    h("dt", {}, what),
    h("dd", { class: said === label ? "good" : "bad" }, said, probability === null ? "" : ` ${percent(probability, 0)}`, said === label ? ", right" : ", wrong"),
  ];
  return h("div", {}, h("div", { class: "code small" }, image), h("dl", {}, h("dt", {}, "Is"), h("dd", {}, label), answer("Zero-shot", before), answer("This model", after)));
}
