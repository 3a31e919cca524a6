// Zero-shot beside fine-tuned on images of one's own.

import { all } from "../core/api.js";
import { announce, h, show } from "../core/dom.js";
import { count } from "../core/format.js";
import { may, page } from "../core/start.js";
import { attempt } from "../parts/attempt.js";
import { askAll } from "../parts/playground/asking.js";
import { asRequest } from "../parts/playground/as_request.js";
import { imageCard } from "../parts/playground/card.js";
import { dropZone } from "../parts/playground/images.js";
import { modelRows, usualModels } from "../parts/playground/model_rows.js";
import { ownSettings } from "../parts/playground/own_settings.js";
import { fromUrl, toRequest, toUrl } from "../parts/playground/question.js";

const MANY = 1000; // models to choose from
const MOST = 64; // images at a time

page(async (view, session) => {
  if (!may(session, "models:infer")) {
    return show(view, h("p", { class: "notice" }, "Your key may not ask models; it needs the scope models:infer."));
  }
  const mayList = may(session, "models:read");
  const [models, aliases] = mayList ? await Promise.all([all("/v1/models", MANY), all("/v1/aliases", MANY)]) : [null, []];
  const known = new Map((models ?? []).map((model) => [model.id, model]));
  const question = fromUrl();
  if (!question.models.length) question.models = usualModels(models ?? []);
  if (!question.models.length) question.models = [""];

  const [wrong, summary, tooMany, example] = [h("div", { "aria-live": "polite" }), h("div"), h("div", { "aria-live": "polite" }), h("div")];
  const list = h("div");
  const nothing = h("p", { class: "empty" }, "No image yet. Drop one anywhere on this page, and every model's answer appears here.");
  const clear = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => become([]) }, "Remove all images");
  let cards = [];
  let asking = null;

  const change = (values) => {
    Object.assign(question, values);
    toUrl(question);
    draw();
    ask(cards);
  };

  function draw() {
    show(list, cards.length ? cards.map((card) => card.view.element) : nothing);
    clear.hidden = cards.length < 2;
    show(example, asRequest(toRequest(question), cards[0]?.file.name ?? "photo.jpg"));
  }

  function become(found) {
    cards = found;
    if (!cards.length) show(summary);
    draw();
  }

  function add(files) {
    const room = MOST - cards.length;
    show(
      tooMany,
      files.length > room && h(
        "p",
        { class: "notice" },
        `The page shows ${MOST} images at a time; the first ${count(Math.max(0, room))} of these were taken. For more, use the request below.`,
      ),
    );
    const added = files.slice(0, room).map((file) => {
      const card = { file };
      card.view = imageCard(file, () => become(cards.filter((each) => each !== card)));
      return card;
    });
    become([...cards, ...added]);
    added[0]?.view.element.scrollIntoView({ block: "nearest" });
    ask(cards.filter((card) => card.answer === undefined));
  }

  // A question that was changed meanwhile is not waited for.
  async function ask(asked) {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    if (!asked.length) return;
    show(summary);
    const work = async () => {
      try {
        await askAll(asked, toRequest(question), known, signal);
        tell();
      } catch (error) {
        if (error.name === "AbortError") return;
        const why = error.param ? "Not asked: something is wrong with the question, and marked there." : "Not asked.";
        for (const card of asked) card.view.fail(why);
        throw error;
      }
    };
    await attempt(work, { wrong, form });
  }

  function tell() {
    const answered = cards.map((card) => card.answer).filter(Boolean);
    const changed = answered.filter((each) => each.label_changed).length;
    const shifted = answered.filter((each) => each.shifted).length;
    const images = `${count(answered.length)} ${answered.length === 1 ? "image" : "images"}`;
    const text = `${images}: ${count(changed)} with a changed label, ${count(shifted)} flagged as shifted.`;
    show(summary, answered.length > 1 && h("p", {}, text));
    announce(text);
  }

  const isTuned = models?.some((model) => model.kind === "fine_tuned") ?? true;
  const settings = ownSettings(question, !isTuned, change);
  const form = h(
    "form",
    { class: "card", novalidate: true },
    dropZone(add),
    modelRows(models, aliases, question.models, (ids) => change({ models: ids })),
    models?.length === 0 && h("p", { class: "notice" }, "There is no model yet; the operator adds a base with `lipsum base add`."),
    models?.length > 0 && !isTuned && h(
      "p",
      { class: "notice" },
      "No model is fine-tuned yet. A base needs labels of yours, below, or ",
      h("a", { href: "/jobs/new" }, "make a model of your own"),
      " first.",
    ),
    settings.element,
    wrong,
    h("div", { class: "actions" }, h("button", { type: "submit" }, "Ask again")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change(settings.typed());
  });

  draw();
  show(
    view,
    h(
      "div",
      { class: "playground" },
      form,
      h(
        "div",
        {},
        tooMany,
        h("div", { class: "playground-head" }, summary, clear),
        list,
        h("details", { class: "card" }, h("summary", {}, "As a request"), example),
      ),
    ),
  );
});
