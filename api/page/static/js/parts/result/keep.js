// What can be done with the line: keep a point of it as a model with one click, and score the whole
// curve where few points of it are known.

import { announce, h, show } from "../../core/dom.js";
import { failure, may } from "../../core/start.js";
import { attempt } from "../attempt.js";
import { copyButton } from "../copy.js";
import { askForLine, untilEnded } from "./line_jobs.js";
import { alphaOf } from "./rows.js";

const CURVE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]; // the ends are known
const MIDDLE = 0.5; // what is kept of a curve that is scored

/**
 * {element, update(line, model), note(lineJob), watch(lineJob)}. `inputs` are what the line is made of,
 * null where it cannot be asked for; `scored(job)` is told of a job about the line that succeeded.
 */
export function keeping(job, inputs, session, scored) {
  const [moves, wrong, notices, models] = [h("div", { class: "actions" }), h("div", { "aria-live": "polite" }), h("div", { "aria-live": "polite" }), h("div")];
  const kept = new Map(); // alpha -> the job that made the model
  const making = new Set(); // alphas that are being made models
  let hasCurve = false;
  let shown = { line: [], model: "" };

  /** A job about the line that has succeeded. */
  function note(made) {
    kept.set(alphaKeptBy(made), made);
    hasCurve ||= isCurve(made);
    draw();
  }

  /** One that goes on. */
  function watch(made) {
    making.add(alphaKeptBy(made));
    hasCurve ||= isCurve(made);
    draw();
    const notice = h("p", { class: "notice" }, isCurve(made) ? "The whole curve is being scored by " : `Alpha ${alphaKeptBy(made)} is being made a model by `, linkTo(made), ". It trains nothing.");
    notices.append(notice);
    untilEnded(
      made.id,
      async (ended) => {
        if (ended.status === "succeeded") {
          notice.remove();
          note(ended);
          announce(isCurve(ended) ? "The whole curve was scored" : `Alpha ${alphaKeptBy(ended)} is a model now`);
          return scored(ended);
        }
        making.delete(alphaKeptBy(made));
        if (isCurve(made)) hasCurve = false;
        show(notice, linkTo(ended), ` is ${ended.status}. ${ended.error?.message ?? ""}`);
        draw();
      },
      (error) => show(wrong, error && failure(error)),
    );
  }

  async function combine(button, hyperparameters) {
    let made = null;
    if (!(await attempt(async () => (made = await askForLine(job, inputs, hyperparameters)), { wrong, button }))) return;
    announce("A job was made");
    watch(made);
  }

  function draw() {
    const { line, model } = shown;
    const alpha = alphaOf(model);
    const isKept = kept.has(alpha) || making.has(alpha) || (job.method.type === "wise_ft" && alphaKeptBy(job) === alpha);
    const isBetween = alpha !== null && alpha > 0 && alpha < 1;
    show(
      moves,
      inputs !== null && may(session, "jobs:write") && [
        isBetween && !isKept && h("button", { type: "button", onclick: (event) => combine(event.target, { alpha }) }, `Keep alpha ${alpha} as a model`),
        !hasCurve && line.length < CURVE.length && h("button", { type: "button", class: "quiet", onclick: (event) => combine(event.target, { alpha: MIDDLE, alphas: CURVE }) }, "Score the whole curve"),
      ],
    );
    const rows = [...kept].toSorted(([a], [b]) => a - b);
    show(models, rows.length > 0 && h("dl", { class: "facts" }, rows.map(([at, made]) => [h("dt", {}, `Alpha ${at} is a model`), h("dd", {}, h("a", { class: "code", href: `/jobs/${made.id}/result` }, made.fine_tuned_model), " ", copyButton(made.fine_tuned_model, `the id of alpha ${at}`))])));
  }

  return {
    element: h("div", {}, moves, wrong, notices, models),
    note,
    watch,
    update(line, model) {
      shown = { line, model };
      draw();
    },
  };
}

const isCurve = (job) => job.method.wise_ft.hyperparameters.alphas.length > 0;
const alphaKeptBy = (job) => job.method.wise_ft.hyperparameters.alpha;
const linkTo = (job) => h("a", { href: `/jobs/${job.id}` }, job.id);
