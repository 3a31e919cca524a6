// Asking about images one by one, a few at a time: a broken one spoils no other's answer.

import { post } from "../../core/api.js";
import { Unreadable, encoded } from "./images.js";

const AT_ONCE = 3;

/**
 * Asks `request` of each of `cards` ({file, view, answer}), which get their answers; those of images that
 * cannot be answered for are null. `models` are known ones by id. Throws what is wrong with the question
 * itself. `signal` ends it.
 */
export async function askAll(cards, request, models, signal) {
  const waiting = [...cards];
  for (const card of waiting) {
    card.answer = undefined;
    card.view.wait();
  }
  const work = async () => {
    for (let card = waiting.shift(); card; card = waiting.shift()) {
      const found = await askOne(card, request, signal).catch((error) => {
        waiting.length = 0; // the others would be told the same
        throw error;
      });
      card.answer = found?.images[0] ?? null;
      if (found) card.view.answer(card.answer, models, found.false_alarm_rate);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

// Null where it is the image that cannot be answered for.
async function askOne({ file, view }, request, signal) {
  try {
    return await post("/v1/classify", { ...request, inputs: await encoded(file) }, { signal });
  } catch (error) {
    if (!(error instanceof Unreadable) && error.param !== "inputs") throw error;
    view.fail(error.message);
    return null;
  }
}
