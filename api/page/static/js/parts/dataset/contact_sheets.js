// Some images of each class of a split on one picture, asked for when somebody wants to see it. Which
// are open is in the URL.

import { ApiError, Unreachable, ask } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { count, several } from "../../core/format.js";
import { failure } from "../../core/start.js";
import { read, write } from "../../core/urlstate.js";

const NAMED = 5; // classes in the words for a picture
const NONE = "none";

export function contactSheets(dataset) {
  // The first one without being asked: nothing says as much about a data set.
  const open = new Set(read("pictures", dataset.splits[0].name).split(","));
  const toggle = (name, isOpen) => {
    if (isOpen) open.add(name);
    else open.delete(name);
    const shown = dataset.splits.map((split) => split.name).filter((each) => open.has(each));
    const isUsual = shown.length === 1 && shown[0] === dataset.splits[0].name;
    write({ pictures: isUsual ? null : shown.join(",") || NONE });
  };
  return dataset.splits.map((split) => sheet(dataset, split, open.has(split.name), toggle));
}

function sheet(dataset, split, isOpen, toggle) {
  const box = h("div");
  const details = h("details", { open: isOpen }, h("summary", {}, `${split.name}, ${several(split.images, "image")}`), box);
  details.addEventListener("toggle", () => {
    toggle(split.name, details.open);
    if (details.open && !box.firstChild) draw();
  });

  function draw() {
    const address = `/v1/datasets/${dataset.id}/contact-sheet?split=${encodeURIComponent(split.name)}`;
    const wait = h("p", { class: "muted", role: "status" }, "It is being drawn.");
    const image = h("img", { class: "sheet", src: address, alt: words(split) });
    const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Pictures of ${split.name}`, hidden: true }, image);
    image.addEventListener("load", () => {
      wait.remove();
      scroll.hidden = false;
    });
    const again = h("button", { type: "button", class: "quiet", onclick: draw }, "Try again");
    image.addEventListener("error", async () => show(box, await whyNot(address), again));
    show(box, wait, scroll, h("p", { class: "small" }, h("a", { href: address }, `Open the picture of ${split.name}`)));
  }

  return details;
}

function words(split) {
  const names = split.classes.slice(0, NAMED).map((each) => each.name);
  const more = split.classes.length - names.length;
  return `Some images of ${split.name} by class: ${names.join(", ")}${more > 0 ? ` and ${count(more)} more` : ""}`;
}

// An <img> does not say why it failed.
async function whyNot(address) {
  try {
    await ask("GET", address, { raw: true });
    return h("p", { class: "bad", role: "alert" }, "The picture was broken on its way.");
  } catch (error) {
    if (error instanceof Unreachable) return h("p", { class: "bad", role: "alert" }, "The service cannot be reached.");
    if (!(error instanceof ApiError)) throw error;
    return failure(error);
  }
}
