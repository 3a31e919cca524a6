// One job as it goes: where it stands, its curves, what it says; and what can be done with it.

import { get } from "../core/api.js";
import { announce, h, show } from "../core/dom.js";
import { poll } from "../core/poll.js";
import { failure, page, title } from "../core/start.js";
import { segment } from "../core/urlstate.js";
import { attempt } from "../parts/attempt.js";
import { actions } from "../parts/job/actions.js";
import { checkpoints } from "../parts/job/checkpoints.js";
import { curves } from "../parts/job/curves.js";
import { settings, showFacts, showProgress } from "../parts/job/facts.js";
import { failureOf } from "../parts/job/failure.js";
import { eventLog } from "../parts/job/log.js";
import { printedLog } from "../parts/job/printed.js";
import { splitsOf } from "../parts/job/splits.js";
import { follow } from "../parts/live/follow.js";
import { History } from "../parts/live/history.js";
import { ENDED } from "../parts/status.js";
import { showSteadily } from "../parts/steady.js";

const LOOK = 1000; // milliseconds between looks at what is no event: step, phase, time to go
const CONNECTION = { live: "Live", asking: "Asking every two seconds", waiting: "The connection is lost; trying again" };

page(async (view, session) => {
  const id = segment("/jobs/{}");
  const path = `/v1/fine_tuning/jobs/${encodeURIComponent(id)}`;
  let job = await get(path);
  title(job.suffix ? `${job.suffix} (${job.method.type})` : job.id);

  const [progress, failed, facts, connection, wrong] = [h("div"), h("div"), h("div"), h("span", { class: "muted small", id: "connection" }), h("div")];
  const moves = actions(session, changed);
  const drawn = curves(job);
  const splits = splitsOf();
  const events = eventLog();
  const printed = printedLog(job.id, isOver);
  const kept = checkpoints(job.id);
  const history = new History(job.id, (news) => {
    if (news.type === "event") events.event(news.event);
    if (news.type === "event") drawn.event(news.event);
    else drawn.metrics(news);
  });

  function isOver() {
    return ENDED.includes(job.status);
  }
  function draw(found) {
    if (found.status !== job.status) announce(`The job is ${found.status}`);
    job = found;
    showProgress(progress, job);
    moves.update(job);
    showSteadily(failed, failureOf(job));
    showFacts(facts, job);
    if (isOver()) show(connection);
    splits.update(job);
  }
  // A job that is tried again goes on where its history ended.
  function changed(found) {
    const wasOver = isOver();
    draw(found);
    if (wasOver && !isOver()) watch();
  }
  async function finish() {
    draw(await get(path));
    await kept.refresh();
  }
  async function watch() {
    await follow(history, (news) => {
      if (news.type === "done") attempt(finish, { wrong });
      else if (!isOver()) show(connection, CONNECTION[news.state]);
    });
    drawn.settle();
    poll(
      async () => {
        if (isOver()) return false;
        draw(await get(path));
        return true;
      },
      LOOK,
      (error) => show(wrong, error && failure(error)),
    );
  }

  show(
    view,
    h("section", { class: "card" }, progress, moves.element, wrong),
    failed,
    drawn.element,
    splits.element,
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "What happened ", connection), events.element, printed),
      h("section", { class: "card" }, h("h2", {}, "What it is"), facts, settings(job), job.method.type !== "compare" && h("p", {}, h("a", { href: `${path}/spec`, download: `${job.id}.json` }, "Download the request that gives it again"))),
    ),
    h("section", { class: "card" }, h("h2", {}, "Checkpoints"), kept.element),
  );
  draw(job);
  await attempt(kept.refresh, { wrong });
  await watch();
});
