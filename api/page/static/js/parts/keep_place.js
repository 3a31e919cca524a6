// A part that is drawn anew while somebody is in it: the keyboard stays where it was.

/** Runs `draw`, which draws `element` anew, and focuses what stands for the link or button from before. */
export function keepPlace(element, draw) {
  const active = document.activeElement;
  const mark = element.contains(active) ? markOf(active) : null;
  draw();
  if (mark === null || element.contains(document.activeElement)) return;
  [...element.querySelectorAll("a, button, input, select, summary")].find((each) => markOf(each) === mark)?.focus();
}

const markOf = (element) => `${element.tagName} ${element.id || (element.getAttribute("href") ?? element.getAttribute("aria-label") ?? element.textContent)}`;
