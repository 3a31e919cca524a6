// What operators look after: keys, usage, workers, the queue, projects, and who changed what.

import { h, show } from "../core/dom.js";
import { failure, may, page } from "../core/start.js";
import { read, write } from "../core/urlstate.js";
import { auditTab } from "../parts/operate/audit.js";
import { keysTab } from "../parts/operate/keys.js";
import { projectsTab } from "../parts/operate/projects.js";
import { queueTab, workersTab } from "../parts/operate/running.js";
import { usageTab } from "../parts/operate/usage.js";

const TABS = [
  ["keys", "Keys", "keys", keysTab],
  ["usage", "Usage", "usage:read", usageTab],
  ["workers", "Workers", "admin", workersTab],
  ["queue", "Queue", "jobs:read", queueTab],
  ["projects", "Projects", "admin", projectsTab],
  ["audit", "Audit log", "audit:read", auditTab],
];

page(async (view, session) => {
  const panel = h("div", { role: "tabpanel", id: "panel", tabindex: "0" });
  const buttons = TABS.map(([key, title]) => h("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": "panel", onclick: () => open(key) }, title));
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "What to look after", onkeydown: turn }, buttons);

  async function open(key) {
    const [, , scope, make] = TABS.find(([each]) => each === key);
    write({ tab: key });
    for (const [at, button] of buttons.entries()) {
      const isOpen = TABS[at][0] === key;
      button.setAttribute("aria-selected", String(isOpen));
      button.tabIndex = isOpen ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${key}`);
    if (!may(session, scope)) return show(panel, h("p", { class: "notice" }, `Your key may not see this; it needs the scope ${scope}.`));
    const tab = make(session);
    show(panel, tab.element);
    try {
      await tab.refresh();
    } catch (error) {
      show(panel, failure(error));
    }
  }

  // As tabs are walked through by keyboard: arrows choose, Tab goes on into the panel.
  function turn(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    buttons[at].focus();
    open(TABS[at][0]);
  }

  show(view, bar, panel);
  const wanted = read("tab", "keys");
  await open(TABS.some(([key]) => key === wanted) ? wanted : "keys");
});
