// Doing what may fail: the fault is said where it belongs, and nothing is swallowed.

import { ApiError, Unreachable } from "../core/api.js";
import { show } from "../core/dom.js";
import { failure } from "../core/start.js";
import { showFaults } from "./new_job/faults.js";

/**
 * Runs `work` and says whether it went well. A fault is shown in `wrong`, or, where a `form` has the
 * field that it is about, beside that. `button` cannot be pressed meanwhile.
 */
export async function attempt(work, { wrong, form = null, button = null }) {
  say(wrong, form, null);
  if (button) button.disabled = true;
  try {
    await work();
    return true;
  } catch (error) {
    say(wrong, form, error);
    if (!(error instanceof ApiError) && !(error instanceof Unreachable)) throw error;
    return false;
  } finally {
    if (button) button.disabled = false;
  }
}

function say(wrong, form, error) {
  if (!form) show(wrong, error && failure(error));
  else if (error && !error.param) {
    showFaults(form, wrong, []);
    show(wrong, failure(error));
  } else showFaults(form, wrong, error ? [error] : []);
}
