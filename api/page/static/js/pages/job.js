// One job as it goes: where it stands, its curves, what it says; and what can be done with it.

import { get } from "../core/api.js";
import { announce, h, show } from "../core/dom.js";
import { poll } from "../core/poll.js";
import { failure, page, title } from "../core/start.js";
import { segment } from "../core/urlstate.js";
import { actions } from "../parts/job/actions.js";
import { checkpoints } from "../parts/job/checkpoints.js";
import { curves } from "../parts/job/curves.js";
import { settings, showFacts, showProgress } from "../parts/job/facts.js";
import { failureOf } from "../parts/job/failure.js";
import { eventLog, printedLog } from "../parts/job/log.js";
import { follow } from "../parts/live/follow.js";
import { ENDED } from "../parts/status.js";

const LOOK = 1000; // milliseconds between looks at what is no event: step, phase, time to go
const CONNECTION = { live: "Live", asking: "Asking every two seconds", waiting: "The connection is lost; trying again" };

page(async (view, session) => {
  const id = segment("/jobs/{}");
  const path = `/v1/fine_tuning/jobs/${encodeURIComponent(id)}`;
  let job = await get(path);
  title(job.suffix ? `${job.suffix} (${job.method.type})` : job.id);

  const [progress, failed, facts, connection, wrong] = [h("div"), h("div"), h("div"), h("span", { class: "muted small", id: "connection" }), h("div")];
  const moves = actions(session, (found) => draw(found));
  const drawn = curves(job.n_seeds);
  const events = eventLog();
  const kept = checkpoints(job.id);

  function draw(found) {
    if (found.status !== job.status) announce(`The job is ${found.status}`);
    job = found;
    showProgress(progress, job);
    moves.update(job);
    show(failed, failureOf(job));
    showFacts(facts, job, `/datasets?file=${job.training_file}`);
    if (ENDED.includes(job.status)) show(connection);
  }

  show(
    view,
    h("section", { class: "card" }, progress, moves.element, wrong),
    failed,
    drawn.element,
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "What happened ", connection), events.element, printedLog(job.id)),
      h("section", { class: "card" }, h("h2", {}, "What it is"), facts, settings(job), h("p", {}, h("a", { href: `${path}/spec`, download: `${job.id}.json` }, "Download the request that gives it again"))),
    ),
    h("section", { class: "card" }, h("h2", {}, "Checkpoints"), kept.element),
  );
  draw(job);
  await kept.refresh();
  await follow(job.id, (news) => {
    if (news.type === "event") {
      events.event(news.event);
      drawn.event(news.event);
    } else if (news.type === "metrics") drawn.metrics(news);
    else if (news.type === "state" && !ENDED.includes(job.status)) show(connection, CONNECTION[news.state]);
    else if (news.type === "done") Promise.all([get(path).then(draw), kept.refresh()]);
  });
  drawn.settle();
  poll(
    async () => {
      if (ENDED.includes(job.status)) return false;
      draw(await get(path));
      return true;
    },
    LOOK,
    (error) => show(wrong, error && failure(error)),
  );
});
