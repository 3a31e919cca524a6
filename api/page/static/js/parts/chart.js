// A chart by its definition of core.charts, drawn by Vega in this page's colours, with its numbers as
// a table for who does not see it.

import { h, show } from "../core/dom.js";
import { isDark, watchTheme } from "../core/theme.js";
import { say } from "./chart_tip.js";

const VEGA = new URL("../../vega.js", import.meta.url).href;
const definitionOf = (name) => new URL(`../../charts/${name}.json`, import.meta.url).href;
const REDRAW = 150; // milliseconds between drawings of a chart that moves

// Of the definitions' colours those that would be too dark on a dark page, each way.
const BRIGHTER = { "#0072b2": "#56b4e9", "#56b4e9": "#0072b2", "#7a7a7a": "#a8a8a8" };

let loading = null;

/**
 * {element, update(points)}. `title` names the chart, `label(points)` says in a sentence what it shows; `columns` are
 * [title, point -> text] of its table; `height(points)` is in pixels, where the definition's will not do.
 * `update` takes the points, or what makes them when they are drawn.
 */
export function chart(name, { title, label, columns, height }) {
  const canvas = h("div", { "aria-hidden": "true" }); // Vega gives it a role and a label of its own
  const image = h("div", { class: "chart", role: "img" }, canvas);
  const rows = h("tbody");
  const details = h(
    "details",
    {},
    h("summary", {}, "Show as a table"),
    h("div", { class: "scroll chart-table", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, h("table", {}, h("thead", {}, h("tr", {}, columns.map(([title]) => h("th", { scope: "col" }, title)))), rows)),
  );
  const element = h("figure", { class: "figure" }, image, details);
  let make = () => [];
  let points = [];
  let view = null;
  let timer = null;
  let drawing = Promise.resolve();

  const fillTable = () => details.open && show(rows, points.map((point) => h("tr", {}, columns.map(([, text]) => h("td", {}, text(point))))));
  details.addEventListener("toggle", fillTable);

  // One drawing at a time: the last one has the newest points and colours.
  const draw = (afresh = false) => {
    drawing = drawing.then(() => render(afresh)).catch(failed);
  };
  async function render(afresh) {
    if (!points.length || !canvas.isConnected) return;
    if (view && !afresh) {
      view.data("points", copies());
      await view.runAsync();
      return;
    }
    const [vegaEmbed, definition] = await Promise.all([load(), definitionFrom(definitionOf(name))]);
    view?.finalize();
    const options = {
      actions: false,
      ast: true, // expressions are interpreted: the page's policy lets no string run as code
      config: colours(),
      defaultStyle: false,
      renderer: "canvas",
      tooltip: say,
    };
    const filled = { ...(isDark() ? brighter(definition) : definition), datasets: { points: copies() }, ...(height && { height: height(points) }) };
    ({ view } = await vegaEmbed(canvas, filled, options));
  }
  // The next points may find the service again.
  function failed(error) {
    view = null;
    show(canvas, h("p", { class: "muted small" }, "The chart cannot be drawn now; its numbers are in the table below."));
    if (!(error instanceof NotLoaded)) reportError(error);
  }
  function refresh() {
    timer = null;
    points = make();
    image.setAttribute("aria-label", label(points));
    fillTable();
    draw();
  }

  // Vega marks what it is given.
  const copies = () => points.map((point) => ({ ...point }));
  watchTheme(() => draw(true));
  // Not only the window's width changes that of a chart, and one that is not shown has none.
  new ResizeObserver(() => canvas.clientWidth > 0 && view?.width(canvas.clientWidth).runAsync()).observe(canvas);
  return {
    element,
    update(found) {
      make = typeof found === "function" ? found : () => found;
      if (points.length) timer ??= setTimeout(refresh, REDRAW);
      else refresh();
    },
  };
}

class NotLoaded extends Error {}

// One script for all charts of the page, and only for pages with a chart.
function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: VEGA });
    script.addEventListener("load", () => resolve(window.vegaEmbed));
    script.addEventListener("error", () => {
      loading = null; // another chart may have more luck
      reject(new NotLoaded(VEGA));
    });
    document.head.append(script);
  });
  return loading;
}

async function definitionFrom(address) {
  try {
    const answer = await fetch(address);
    if (answer.ok) return await answer.json();
  } catch (error) {
    throw new NotLoaded(address, { cause: error });
  }
  throw new NotLoaded(address);
}

const brighter = (definition) => JSON.parse(JSON.stringify(definition), (key, value) => BRIGHTER[value] ?? value);

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
