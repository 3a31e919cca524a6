// Building what is shown. Strings become text nodes, never markup: whatever a user named something
// is shown as it is.

/**
 * An element: h("a", {href, class, onclick, dataset: {...}}, "text", child, [more]).
 * Attributes that are null, undefined or false are left out; `true` is an attribute without a value.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Puts these children in the place of what `parent` has. */
export function show(parent, ...children) {
  parent.replaceChildren(...flat(children));
  return parent;
}

/** Says something to a screen reader. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "indeterminate") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
