// Which finished jobs are set side by side, ticked in a list that can be filtered.

import { announce, h, show } from "../../core/dom.js";
import { ago, count } from "../../core/format.js";
import { read, write } from "../../core/urlstate.js";
import { field } from "../fields.js";

const SHOWN = 100; // of those that fit the filter

/** `chosen` ids; `toggle(id, isChosen)` is told of every tick. Returns {element, update(chosen)}. */
export function jobChoice(jobs, chosen, toggle) {
  const list = h("div", { class: "job-choices" });
  const rest = h("p", { class: "muted small" });
  const search = h("input", { id: "search", type: "search", value: read("q", ""), placeholder: "id, suffix, method, base" });

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (job) => `${job.id} ${job.suffix ?? ""} ${job.method.type} ${job.model}`.toLowerCase();
    const matching = jobs.filter((job) => words.every((word) => text(job).includes(word)));
    show(list, matching.slice(0, SHOWN).map(option));
    show(
      rest,
      matching.length === 0 ? "No finished job fits the filter." : matching.length > SHOWN ? `${count(matching.length - SHOWN)} more fit the filter; narrow it.` : null,
    );
    return matching.length;
  }

  function option(job) {
    const box = h(
      "input",
      {
        type: "checkbox",
        id: `choose-${job.id}`,
        value: job.id,
        checked: chosen.includes(job.id),
        "aria-describedby": `about-${job.id}`,
        onchange: () => toggle(job.id, box.checked),
      },
    );
    return h(
      "div",
      { class: "job-choice" },
      box,
      h("label", { for: box.id }, job.suffix ?? job.id),
      h(
        "p",
        { class: "muted small", id: `about-${job.id}` },
        `${job.method.type} on ${job.model}, ${ago(job.created_at)} `,
        job.suffix && h("span", { class: "code" }, job.id),
      ),
    );
  }

  search.addEventListener("input", () => {
    write({ q: search.value });
    announce(`${draw()} jobs`);
  });
  draw();
  return {
    element: h("div", {}, h("div", { class: "filters" }, field("Filter", search)), list, rest),
    update(found) {
      chosen = found;
      for (const box of list.querySelectorAll("input")) box.checked = chosen.includes(box.value); // none is made anew: one has the keyboard
    },
  };
}
