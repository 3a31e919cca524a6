// How far a sending is, and what can be done with it.

import { ApiError } from "../../core/api.js";
import { announce, h, show } from "../../core/dom.js";
import { bytes, duration } from "../../core/format.js";
import { Rate } from "./rate.js";

const OFTEN = 200; // milliseconds between looks at what moves
const BEAT = 1000; // milliseconds between looks at what does not
const SOON = 10; // seconds
const MILESTONES = [0.25, 0.5, 0.75];

/** {element, tell()} for `sending`; `cancel()` is asked for by its button. */
export function runningCard(source, sending, cancel) {
  const rate = new Rate();
  const bar = h("progress", { max: "1", value: 0, "aria-label": `Sending ${source.name}` });
  const line = h("p", {});
  const more = h("p", { class: "muted small" });
  const turn = () => (sending().state === "paused" ? sending().goOn() : sending().pause());
  const pause = h("button", { type: "button", class: "quiet", onclick: turn });
  const stop = h("button", { type: "button", class: "danger", onclick: cancel }, "Cancel");
  const element = h(
    "section",
    { class: "card", tabindex: "-1", "aria-label": `Sending ${source.name}` },
    h("h2", {}, source.name),
    source.about && h("p", { class: "muted small" }, source.about),
    bar,
    line,
    more,
    h("div", { class: "actions" }, pause, stop),
  );
  let said = null;
  let passed = 0; // of the milestones
  let timer = null;

  function draw() {
    clearTimeout(timer);
    timer = null;
    const now = sending();
    const share = source.size ? now.sent / source.size : 1;
    if (now.state === "sending") rate.note(now.sent - now.passed, performance.now());
    else rate.forget();
    bar.value = share;
    show(line, sentence(now, source, rate.perSecond));
    line.className = now.state === "waiting" ? "warn" : "";
    show(more, asides(now));
    pause.textContent = now.state === "paused" ? "Go on" : "Pause";
    pause.disabled = !now.canPause;
    stop.disabled = now.state === "completing";
    say(now, share);
  }

  // A screen reader hears a change of state and every quarter, not every byte.
  function say(now, share) {
    if (now.state !== said) {
      said = now.state;
      announce(`${source.name}: ${line.textContent}`);
    } else if (share >= MILESTONES[passed]) announce(`${source.name}: ${Math.round(100 * share)} % sent`);
    while (share >= MILESTONES[passed]) passed += 1;
  }

  const beat = setInterval(draw, BEAT);
  return {
    element,
    tell() {
      if (sending().state !== said) draw();
      else timer ??= setTimeout(draw, OFTEN);
    },
    end() {
      clearTimeout(timer);
      clearInterval(beat);
    },
  };
}

function sentence(now, source, perSecond) {
  const far = `${bytes(now.sent)} of ${bytes(source.size)}`;
  if (now.state === "looking") return "Looking what is there already.";
  if (now.state === "paused") return `Paused at ${far}.`;
  if (now.state === "completing") return "All is there. The service looks through it.";
  if (now.state === "waiting") {
    const why = now.trouble instanceof ApiError ? now.trouble.message : "The connection is lost.";
    return `${why} What was sent is kept, and it goes on by itself: ${far}.`;
  }
  if (now.passed && now.passed === now.sent) return `${far}. What is there is compared with this.`;
  if (perSecond === null) return `${far}.`;
  if (perSecond === 0) return `${far}. Nothing moves just now.`;
  const left = (source.size - now.sent) / perSecond;
  return `${far}, ${bytes(perSecond)} a second, ${left < SOON ? "a few seconds" : `about ${duration(left)}`} to go.`;
}

function asides(now) {
  const found = [];
  if (now.passed) found.push(`${bytes(now.passed)} were there already and were not sent again.`);
  if (now.isAnother) found.push("What was begun under this name is not the same, so this is sent from its beginning.");
  return found.join(" ");
}
