// A chart by its definition of core.charts, drawn by Vega in this page's colours, with its numbers as
// a table for who does not see it.

import { h, show } from "../core/dom.js";
import { watchTheme } from "../core/theme.js";

const VEGA = new URL("../../vega.js", import.meta.url).href;
const definitionOf = (name) => new URL(`../../charts/${name}.json`, import.meta.url).href;
const REDRAW = 150; // milliseconds between drawings of a chart that moves

let loading = null;

/**
 * {element, update(points)}. `label(points)` says in a sentence what the chart shows; `columns` are
 * [title, point -> text] of its table; `height(points)` is in pixels, where the definition's will not do.
 */
export function chart(name, { label, columns, height }) {
  const canvas = h("div", { class: "chart", role: "img" });
  const rows = h("tbody");
  const details = h(
    "details",
    {},
    h("summary", {}, "Show as a table"),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, columns.map(([title]) => h("th", { scope: "col" }, title)))), rows)),
  );
  const element = h("figure", { class: "figure" }, canvas, details);
  let points = [];
  let view = null;
  let timer = null;
  let drawing = Promise.resolve();

  const fillTable = () => details.open && show(rows, points.map((point) => h("tr", {}, columns.map(([, text]) => h("td", {}, text(point))))));
  details.addEventListener("toggle", fillTable);

  // One drawing at a time: the last one has the newest points and colours.
  const draw = (afresh = false) => {
    timer = null;
    drawing = drawing.then(async () => {
      if (!points.length || !canvas.isConnected) return;
      if (view && !afresh) {
        view.data("points", copies());
        await view.resize().runAsync();
        return;
      }
      const [vegaEmbed, definition] = await Promise.all([load(), fetch(definitionOf(name)).then((answer) => answer.json())]);
      view?.finalize();
      const options = {
        actions: false,
        ast: true, // expressions are interpreted: the page's policy lets no string run as code
        config: colours(),
        defaultStyle: false,
        renderer: "canvas",
        tooltip: say,
      };
      const filled = { ...definition, datasets: { points: copies() }, ...(height && { height: height(points) }) };
      ({ view } = await vegaEmbed(canvas, filled, options));
    });
    return drawing;
  };

  // Vega marks what it is given.
  const copies = () => points.map((point) => ({ ...point }));
  watchTheme(() => draw(true));
  return {
    element,
    update(found) {
      points = found;
      canvas.setAttribute("aria-label", label(points));
      fillTable();
      timer ??= setTimeout(() => draw(), REDRAW);
    },
  };
}

// One script for all charts of the page, and only for pages with a chart.
function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: VEGA });
    script.addEventListener("load", () => resolve(window.vegaEmbed));
    script.addEventListener("error", () => reject(new Error("The chart's script did not come.")));
    document.head.append(script);
  });
  return loading;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const probe = h("span", { hidden: true });
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = style.getPropertyValue(name);
    return getComputedStyle(probe).color; // light-dark() resolved
  };
  const [text, quiet, line] = ["--text", "--quiet", "--line"].map(colour);
  probe.remove();
  return {
    axis: { labelColor: quiet, titleColor: quiet, gridColor: line, domainColor: line, tickColor: line },
    legend: { labelColor: text, titleColor: quiet },
    header: { labelColor: text, titleColor: quiet },
    text: { color: text },
    rule: { color: quiet },
  };
}

// What the pointer is over, in the page's own words: Vega's tooltip would bring a style of its own.
function say(handler, event, item, value) {
  const tip = document.getElementById("tip") ?? document.body.appendChild(h("div", { id: "tip", class: "tip", hidden: true }));
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  show(tip, typeof value === "object" ? Object.entries(value).map(([key, each]) => h("div", {}, `${key}: ${each}`)) : String(value));
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 12}px`;
}
