// Which classes won and lost against zero-shot on a split, and the images whose answer changed.

import { ApiError, Unreachable, get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { count } from "../../core/format.js";
import { failure } from "../../core/start.js";
import { read, write } from "../../core/urlstate.js";
import { field, select } from "../fields.js";
import { keepPlace } from "../keep_place.js";
import { classTable } from "./class_table.js";
import { pictures } from "./pictures.js";

const PAGE = 48;
const REST = 400; // milliseconds that a slider has to rest before images are asked for
const CHANGES = [["lost", "Lost: right before, wrong now"], ["gained", "Gained: wrong before, right now"], ["all", "Every changed answer"]];

/** {element, update(shown)}: `shown` is {job, results, reference, model, seed}, the job whose predictions these are. */
export function flips() {
  const [list, classes, wrong, filters] = [h("div"), h("div"), h("div", { "aria-live": "polite" }), h("div", { class: "filters" })];
  const body = h("div", { class: "columns" }, classes, list);
  const element = h("section", { class: "card" }, h("h2", {}, "Winners and losers"), filters, wrong, body);
  const change = select("flip-change", CHANGES, read("change", "lost"), () => choose(ofClass));
  let split = null;
  let shown = null;
  let ofClass = read("class");
  let offset = 0;
  let timer = null;
  let asked = 0; // of several questions the last one's answer is shown

  function choose(name) {
    ofClass = name;
    for (const button of classes.querySelectorAll("button[aria-pressed]")) button.setAttribute("aria-pressed", String(button.textContent === name));
    write({ split: split.value, change: change.value, class: ofClass });
    anew();
  }
  function anew() {
    offset = 0;
    draw();
  }

  async function draw() {
    const number = ++asked;
    body.setAttribute("aria-busy", "true");
    const { job, model, reference, seed } = shown;
    const query = new URLSearchParams({ split: split.value, model, against: reference, change: change.value, limit: PAGE, offset });
    if (ofClass) query.set("class", ofClass);
    if (seed !== null) query.set("seed", seed);
    const path = `/v1/fine_tuning/jobs/${job.id}/predictions`;
    try {
      const found = await get(`${path}?${query}`);
      if (number !== asked) return;
      show(wrong);
      body.hidden = false;
      body.setAttribute("aria-busy", "false");
      keepPlace(classes, () => show(classes, classTable(found.classes, ofClass, choose)));
      show(list, heading(found), pictures(found, `${path}/sheet?${query}`, offset), turning(found));
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof Unreachable)) throw error;
      if (number !== asked) return;
      if (error.code === "unknown_class") return choose(null); // of another split's, by an old link
      body.hidden = true;
      show(wrong, error.code === "no_predictions" || error.status === 404 ? h("p", { class: "muted" }, error.message) : failure(error));
    }
  }

  function heading(found) {
    const what = `${count(found.total)} ${found.total === 1 ? "image" : "images"}${ofClass ? ` of ${ofClass}` : ""}${shown.results.seeds.length > 1 ? `, seed ${found.seed}` : ""}`;
    return [h("h3", {}, what), ofClass && h("button", { type: "button", class: "quiet", onclick: () => choose(null) }, "All classes")];
  }
  function turning(found) {
    const button = (text, by) => h("button", { type: "button", class: "quiet", onclick: () => ((offset += by), draw()) }, text);
    return h("div", { class: "actions" }, offset > 0 && button("Before these", -PAGE), found.has_more && button("More", PAGE));
  }

  return {
    element,
    update(found) {
      const { results, model, reference } = found;
      const isFirst = shown === null;
      const isKnown = !isFirst && ["job", "model", "seed"].every((key) => found[key] === shown[key]);
      shown = found;
      element.hidden = reference === null || model === reference;
      if (element.hidden) return;
      const splits = results.splits.filter((each) => results.get(model, each, "accuracy"));
      split = select("flip-split", splits.map((each) => [each, each]), split?.value ?? read("split", results.shifted[0]), () => choose(null));
      show(filters, field("Split", split), field("Images", change));
      if (isKnown) return; // only what stands elsewhere on the page has changed
      clearTimeout(timer);
      timer = setTimeout(anew, isFirst ? 0 : REST);
    },
  };
}
