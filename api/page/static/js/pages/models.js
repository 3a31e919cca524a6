// Models and the aliases that point at them; with ?model=ID one of them alone.

import { all, get } from "../core/api.js";
import { h, show } from "../core/dom.js";
import { may, page, title } from "../core/start.js";
import { read } from "../core/urlstate.js";
import { aliasSection } from "../parts/models/aliases.js";
import { modelDetail } from "../parts/models/detail.js";
import { modelList } from "../parts/models/list.js";

const MANY = 2000;

page(async (view, session) => {
  if (!may(session, "models:read")) {
    return show(view, h("p", { class: "notice" }, "Your key may not see models; it needs the scope models:read."));
  }
  const askAliases = () => all("/v1/aliases", MANY);
  const id = read("model");
  if (id) {
    const [model, aliases] = await Promise.all([get(`/v1/models/${encodeURIComponent(id)}`), askAliases()]);
    title(model.id);
    return show(view, modelDetail(model, aliases, session));
  }
  title("Models and aliases");
  const [models, aliases] = await Promise.all([all("/v1/models", MANY), askAliases()]);
  const list = h("div");
  const drawList = (now) => show(list, modelList(models, now));
  drawList(aliases);
  const section = aliasSection(aliases, models, session, async () => {
    const now = await askAliases();
    drawList(now);
    return now;
  });
  return show(view, section, list);
});
