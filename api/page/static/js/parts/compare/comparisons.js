// Comparisons that the service ran or runs: how far each is, what came out, and the report.

import { get, post } from "../../core/api.js";
import { h, show } from "../../core/dom.js";
import { ago } from "../../core/format.js";
import { poll } from "../../core/poll.js";
import { failure } from "../../core/start.js";
import { attempt } from "../attempt.js";
import { keepPlace } from "../keep_place.js";
import { statusBadge } from "../status.js";
import { contenders } from "./contenders.js";
import { plots, reportLinks } from "./report.js";

const EVERY = 3000; // milliseconds
const SELDOM = 30_000; // while none runs
const PAGE = 20;
const RUNNING = ["running", "cancelling"];

/** {element, refresh()}. */
export function comparisonList(mayWrite) {
  const [list, wrong] = [h("div"), h("div", { "aria-live": "polite" })];
  const older = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => more() }, "Show older comparisons");
  const drawn = new Map(); // by id: what it was drawn of, and its element
  let wanted = PAGE;
  let stop = () => {};

  async function ask() {
    const { data, has_more: hasMore } = await get(`/v1/comparisons?limit=${wanted}`);
    older.hidden = !hasMore || wanted >= 100;
    keepPlace(
      list,
      () => show(
        list,
        data.length ? data.map(element) : h(
          "p",
          { class: "empty" },
          "No comparison yet. One request trains several methods on the same images with the same seeds, and reports which to take.",
        ),
      ),
    );
    return data.some((each) => RUNNING.includes(each.status));
  }

  // One that did not change stays as it is: opened, scrolled, its plots there.
  function element(comparison) {
    const text = JSON.stringify(comparison);
    const before = drawn.get(comparison.id);
    if (before?.text === text) return before.element;
    const isOpen = before?.element.querySelector("details").open ?? false;
    const made = card(comparison, isOpen, mayWrite, refresh);
    drawn.set(comparison.id, { text, element: made });
    return made;
  }

  function refresh() {
    stop();
    let isBusy = false;
    stop = poll(
      async () => {
        const runs = await ask();
        if (runs === isBusy) return true;
        isBusy = runs;
        stop();
        stop = poll(ask, runs ? EVERY : SELDOM, tell);
        return true;
      },
      EVERY,
      tell,
    );
  }

  const tell = (error) => show(wrong, error && failure(error));
  const more = () => {
    wanted += PAGE;
    refresh();
  };
  refresh();
  return { element: h("div", {}, wrong, list, h("div", { class: "actions" }, older)), refresh };
}

function card(comparison, isOpen, mayWrite, refresh) {
  const wrong = h("div", { "aria-live": "polite" });
  const ended = comparison.contenders.filter((each) => ["succeeded", "failed", "cancelled", "left_out"].includes(each.status)).length;
  const jobs = comparison.contenders.filter((each) => each.status === "succeeded").map((each) => each.job_id);
  const title = comparison.name ?? comparison.id;
  const cancel = h("button", { type: "button", class: "danger", "aria-label": `Cancel ${title}` }, "Cancel");
  cancel.addEventListener("click", async () => {
    if (await attempt(() => post(`/v1/comparisons/${comparison.id}/cancel`, {}), { wrong, button: cancel })) refresh();
  });
  const details = h("details", { open: isOpen }, h("summary", {}, `${comparison.contenders.length} contenders, ${ended} have ended`));
  const fill = () => details.open && details.childElementCount === 1 && details.append(contenders(comparison), ...plots(comparison));
  details.addEventListener("toggle", fill);
  fill();
  return h(
    "article",
    { class: "comparison", "aria-label": title },
    h("h3", {}, title, " ", statusBadge(comparison.status)),
    h(
      "p",
      { class: "muted small" },
      `${comparison.model}, ${comparison.n_seeds} ${comparison.n_seeds === 1 ? "seed" : "seeds"} from ${comparison.seed}, made ${ago(comparison.created_at)} `,
      h("span", { class: "code" }, comparison.id),
    ),
    comparison.error && h("p", { class: "field-error" }, comparison.error),
    comparison.verdict && h("p", {}, comparison.verdict),
    comparison.status === "running" && h("progress", { max: "1", value: progress(comparison), "aria-label": `Progress of ${title}` }),
    details,
    wrong,
    h(
      "div",
      { class: "actions" },
      reportLinks(comparison),
      jobs.length > 1 && h("a", { href: `/compare?jobs=${jobs.map(encodeURIComponent).join(",")}` }, "Its jobs side by side"),
      mayWrite && comparison.status === "running" && cancel,
    ),
  );
}

const progress = ({ contenders: all }) => all.reduce((sum, each) => sum + (each.status === "left_out" ? 1 : each.fraction), 0) / all.length;
