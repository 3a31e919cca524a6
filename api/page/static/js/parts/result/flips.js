// Which classes won and lost against zero-shot on a split, and the images whose answer changed.

import { ApiError, Unreachable, get } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { count, percent, points } from "../../core/format.js";
import { failure } from "../../core/start.js";
import { read, write } from "../../core/urlstate.js";
import { table } from "../table.js";

const PAGE = 48;
const CHANGES = [["lost", "Lost: right before, wrong now"], ["gained", "Gained: wrong before, right now"], ["all", "Every changed answer"]];

export function flips(job, results, model) {
  if (model === "zero_shot") return null;
  const splits = results.splits.filter((split) => results.get(model, split, "accuracy"));
  const split = select("flip-split", splits.map((each) => [each, each]), read("split", results.shifted[0] ?? splits[0]));
  const change = select("flip-change", CHANGES, read("change", "lost"));
  const [list, classes, wrong] = [h("div"), h("div"), h("div")];
  let ofClass = read("class");
  let offset = 0;

  async function draw() {
    write({ split: split.value, change: change.value, class: ofClass });
    const query = new URLSearchParams({ split: split.value, model, change: change.value, limit: PAGE, offset });
    if (ofClass) query.set("class", ofClass);
    const path = `/v1/fine_tuning/jobs/${job.id}/predictions`;
    try {
      const found = await get(`${path}?${query}`);
      show(wrong);
      drawClasses(classes, found.classes, ofClass, choose);
      show(list, pictures(found, `${path}/sheet?${query}`));
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof Unreachable)) throw error;
      show(wrong, error.code === "no_predictions" ? h("p", { class: "muted" }, error.message) : failure(error));
    }
  }

  const choose = (name) => {
    ofClass = name;
    offset = 0;
    draw();
  };

  function pictures(found, sheet) {
    const turn = (by) => () => {
      offset += by;
      draw();
    };
    return [
      h("h3", {}, `${count(found.total)} images${ofClass ? ` of ${ofClass}` : ""}`, " ", ofClass && h("button", { type: "button", class: "quiet", onclick: () => choose(null) }, "All classes")),
      found.data.length > 0 && [
        h("p", { class: "muted small" }, "Under each image: what zero-shot took it for → what this model takes it for."),
        h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Pictures of changed images" }, h("img", { class: "sheet", src: sheet, loading: "lazy", alt: `Contact sheet of ${found.data.length} images; the list below names each.` })),
        h("details", {}, h("summary", {}, "The same as a list"), h("ol", { start: String(offset + 1) }, found.data.map(line))),
      ],
      h("div", { class: "actions" }, offset > 0 && h("button", { type: "button", class: "quiet", onclick: turn(-PAGE) }, "Before these"), found.has_more && h("button", { type: "button", class: "quiet", onclick: turn(PAGE) }, "More")),
    ];
  }

  split.addEventListener("change", () => choose(null));
  change.addEventListener("change", () => choose(ofClass));
  draw();
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Winners and losers"),
    h("div", { class: "filters" }, h("div", {}, h("label", { for: "flip-split" }, "Split"), split), h("div", {}, h("label", { for: "flip-change" }, "Images"), change)),
    wrong,
    h("div", { class: "columns" }, classes, list),
  );
}

function drawClasses(parent, found, chosen, choose) {
  const rows = found.map((each) => ({ ...each, change: (each.right_after - each.right_before) / each.images }));
  const view = table({
    caption: "Classes, by change against zero-shot",
    name: "class-",
    columns: [
      { key: "class", title: "Class", sort: (row) => row.label, cell: (row) => h("button", { type: "button", class: "quiet", "aria-pressed": String(row.label === chosen), onclick: () => choose(row.label) }, row.label) },
      { key: "images", title: "Images", number: true, sort: (row) => row.images, cell: (row) => count(row.images) },
      { key: "before", title: "Zero-shot", number: true, sort: (row) => row.right_before / row.images, cell: (row) => percent(row.right_before / row.images) },
      { key: "after", title: "This model", number: true, sort: (row) => row.right_after / row.images, cell: (row) => percent(row.right_after / row.images) },
      { key: "change", title: "Change", number: true, sort: (row) => row.change, cell: (row) => h("span", { class: row.change < 0 ? "bad" : row.change > 0 ? "good" : null }, points(row.change), row.change < 0 ? " worse" : row.change > 0 ? " better" : "") },
    ],
  });
  view.update(rows.toSorted((a, b) => a.change - b.change));
  show(parent, h("h3", {}, "Classes"), h("div", { class: "classes" }, view.element));
}

function line(row) {
  const word = row.after.label === row.label ? "now right" : row.before.label === row.label ? "now wrong" : "wrong before and now";
  return h("li", {}, h("span", { class: "code" }, row.image), `: is ${row.label}; ${row.before.label} (${percent(row.before.probability, 0)}) → ${row.after.label} (${percent(row.after.probability, 0)}), ${word}`);
}

function select(id, options, value) {
  const found = h("select", { id }, options.map(([key, text]) => h("option", { value: key }, text)));
  found.value = options.some(([key]) => key === value) ? value : options[0][0];
  return found;
}
