// A table that can be sorted by its headings. The sort is in the URL. On a narrow screen each row is
// a card (app.css), for which every cell says its heading; roles are given, since a table that is laid
// out otherwise loses them.

import { h, show } from "../core/dom.js";
import { read, write } from "../core/urlstate.js";

const MANY = 200; // rows

/**
 * `columns`: [{key, title, cell(row) -> what is shown, sort(row) -> what it is sorted by, number}].
 * Returns {element, update(rows)}; rows stay as they come until a heading is chosen. `name` keeps the
 * parameters of several tables on a page apart.
 */
export function table({ caption, columns, empty, name = "" }) {
  const body = h("tbody", { role: "rowgroup" });
  const heads = new Map();
  let rows = [];
  let [key, direction] = (read(`${name}sort`) ?? "").split(".");

  const head = h(
    "tr",
    { role: "row" },
    columns.map((column) => {
      const cell = h("th", { scope: "col", role: "columnheader", class: column.number && "number" });
      if (column.sort) {
        cell.append(h("button", { type: "button", onclick: () => choose(column) }, column.title));
        heads.set(column.key, cell);
      } else cell.append(column.title);
      return cell;
    }),
  );
  const whole = h("table", { role: "table", class: "stacks" }, h("caption", { class: "sr-only" }, caption), h("thead", { role: "rowgroup" }, head), body);
  const element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, whole);
  const nothing = h("p", { class: "empty" }, empty);
  const holder = h("div", {}, element);

  function choose(column) {
    direction = key === column.key && direction === "up" ? "down" : "up";
    key = column.key;
    write({ [`${name}sort`]: `${key}.${direction}` });
    draw();
  }

  function draw() {
    const column = columns.find((each) => each.key === key && each.sort);
    const sorted = column ? rows.toSorted((a, b) => order(column.sort(a), column.sort(b)) * (direction === "down" ? -1 : 1)) : rows;
    for (const [each, cell] of heads) {
      if (column && each === key) cell.setAttribute("aria-sort", direction === "down" ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    show(body, sorted.map((row) => h("tr", { role: "row" }, columns.map((each) => cellOf(each, row)))));
    whole.classList.toggle("many", rows.length > MANY);
    show(holder, rows.length || !empty ? element : nothing);
  }

  return {
    element: holder,
    update(found) {
      rows = found;
      draw();
    },
  };
}

function cellOf(column, row) {
  return h("td", { role: "cell", class: column.number && "number", dataset: { title: column.title } }, h("div", {}, column.cell(row)));
}

// Nothing known comes last; numbers by size, all else as text.
export function order(a, b) {
  const [noA, noB] = [a === null || a === undefined, b === null || b === undefined];
  if (noA || noB) return Number(noA) - Number(noB);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}
