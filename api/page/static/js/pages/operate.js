// For who keeps the service: keys, usage, workers, queue, projects and the audit log, a tab each.

import { all } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { may, page, title } from "../core/start.js";
import { read } from "../core/urlstate.js";
import { field, select } from "../parts/fields.js";

const MANY = 1000;
const TABS = [
  { name: "keys", title: "Keys", scope: "keys", ofProject: true, load: () => import("../parts/operate/keys.js") },
  { name: "usage", title: "Usage", scope: "usage:read", ofProject: true, load: () => import("../parts/operate/usage.js") },
  { name: "workers", title: "Workers", scope: "admin", load: () => import("../parts/operate/workers.js") },
  { name: "queue", title: "Queue", scope: "jobs:read", load: () => import("../parts/operate/queue.js") },
  { name: "projects", title: "Projects", scope: "admin", load: () => import("../parts/operate/projects.js") },
  { name: "audit", title: "Audit", scope: "audit:read", ofProject: true, load: () => import("../parts/operate/audit.js") },
];

page(async (view, session) => {
  const tab = TABS.find((each) => each.name === read("tab")) ?? TABS.find((each) => may(session, each.scope)) ?? TABS[0];
  title(`Operate: ${tab.title.toLowerCase()}`);
  const project = read("project");
  const content = h("div");
  const bar = h(
    "nav",
    { class: "tabs", "aria-label": "What to operate" },
    TABS.map((each) => h("a", { href: addressOf(each, project), "aria-current": each === tab ? "page" : null }, each.title)),
  );
  show(view, bar);
  if (!may(session, tab.scope)) {
    const verb = tab.title.endsWith("s") ? "need" : "needs";
    return show(view, bar, h("p", { class: "notice" }, `${tab.title} ${verb} a key with the scope ${tab.scope}; yours has ${session.scopes.join(", ")}.`));
  }
  const [module, chooser] = await Promise.all(
    [tab.load(), tab.ofProject && may(session, "admin") ? projectChoice(tab, project, session) : null],
  );
  show(view, bar, chooser, content);
  return module[tab.name](content, session, project);
});

// Operators look into every project.
async function projectChoice(tab, project, session) {
  const projects = await all("/v1/projects", MANY);
  if (projects.length < 2) return null;
  const options = projects.map(
    (each) => [each.id === session.project ? "" : each.id, each.id === session.project ? `${each.name} (yours)` : each.name],
  );
  const own = options.findIndex(([id]) => id === "");
  options.unshift(...options.splice(own, 1));
  const chosen = select("project", options, project ?? "", (id) => location.assign(addressOf(tab, id)));
  return h("div", { class: "filters" }, field("Project", chosen));
}

function addressOf(tab, project) {
  const query = new URLSearchParams({ tab: tab.name, ...(project && { project }) });
  return `/operate?${query}`;
}
