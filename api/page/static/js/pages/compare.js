// Several jobs side by side, and comparisons that the service makes of several methods.

import { h, show } from "../core/dom.js";
import { may, page } from "../core/start.js";
import { chosenJobs } from "../parts/compare/chosen_jobs.js";
import { comparisonList } from "../parts/compare/comparisons.js";
import { newComparison } from "../parts/compare/new_comparison.js";

page(async (view, session) => {
  if (!may(session, "jobs:read")) {
    return show(view, h("p", { class: "notice" }, "Your key may not see jobs; it needs the scope jobs:read."));
  }
  const mayWrite = may(session, "jobs:write");
  const list = comparisonList(mayWrite);
  show(
    view,
    await chosenJobs(),
    mayWrite ? newComparison(() => list.refresh()) : h(
      "p",
      { class: "muted" },
      "Your key may not start comparisons; it needs the scope jobs:write.",
    ),
    h("section", { class: "card" }, h("h2", {}, "Comparisons"), list.element),
  );
});
