// Why something was not taken: whose fault that is, and what to do.

import { ApiError, Unreachable } from "../../core/api.js";
import { h } from "../../core/dom.js";
import { failure } from "../../core/start.js";
import { Unusable } from "./reading.js";

const KEPT = "What was sent is kept for a day: choose the same again to go on.";

/** A box for what `sourceOf` or `Sending.run` threw. */
export function refusalOf(error, name) {
  if (error instanceof Unusable) return box(error.message);
  if (error instanceof Unreachable) return box(`The service cannot be reached. ${KEPT}`);
  if (!(error instanceof ApiError)) return failure(error);
  const [whose, advice] = cause(error);
  return h(
    "section",
    { class: "error", role: "alert" },
    h("h2", {}, `${name} was not taken. ${whose} is the cause.`),
    h("p", {}, error.message),
    h("p", {}, advice),
    h("p", { class: "muted code" }, error.code),
  );
}

const box = (text) => h("div", { class: "error", role: "alert" }, h("p", {}, text));

/** Whether the fault is one that we tell about, rather than one of the page. */
export const isKnown = (error) => [Unusable, ApiError, Unreachable].some((kind) => error instanceof kind);

function cause({ status, code }) {
  if (code === "insufficient_quota") return ["Your project's limit", `Delete what is not needed, or ask the operator for more. ${KEPT}`];
  if (status === 413) return ["Its size", "Nothing of it was kept."];
  if (status === 400) return ["What is in it", "Mend what is named and choose it again. Nothing of it was kept."];
  if (status === 403) return ["Your key", "Ask the operator for one that may upload."];
  if (status === 404 || status === 409) return ["Somebody else", "The upload was ended in another place. Choose it again to send it anew."];
  return ["The service", `Tell the operator. ${KEPT}`];
}
