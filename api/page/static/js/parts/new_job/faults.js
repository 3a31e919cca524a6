// All that is wrong with a request at once, each sentence beside its field.

import { h, show } from "../../core/dom.js";

/** Shows errors ({message, code, param}) within `form`; what has no field goes to `rest`. */
export function showFaults(form, rest, errors) {
  for (const field of form.querySelectorAll("[data-param]")) {
    field.removeAttribute("aria-invalid");
    describe(field, null);
  }
  for (const old of form.querySelectorAll(".field-error")) old.remove();
  const homeless = errors.filter((error) => !place(form, error));
  show(rest, homeless.length > 0 && h("div", { class: "error", role: "alert" }, homeless.map((error) => h("p", {}, error.message))));
}

// The field that the parameter names, or the nearest one around it: evaluation.splits.0.name is
// shown at evaluation.splits.
function place(form, error) {
  let param = error.param ?? "";
  while (param) {
    const field = form.querySelector(`[data-param="${CSS.escape(param)}"]`);
    if (field) return attach(field, error);
    param = param.includes(".") ? param.slice(0, param.lastIndexOf(".")) : "";
  }
  return false;
}

// What a screen reader says of the field: the fault first, then what it is for.
function describe(field, fault) {
  const help = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && !id.startsWith("fault-"));
  const all = fault ? [fault, ...help] : help;
  if (all.length) field.setAttribute("aria-describedby", all.join(" "));
  else field.removeAttribute("aria-describedby");
}

function attach(field, error) {
  const id = `fault-${field.dataset.param.replace(/\W/g, "-")}`;
  const said = h("p", { class: "field-error" }, error.message);
  if (!document.getElementById(id)) said.id = id;
  if (field.matches("input, select, textarea")) {
    field.setAttribute("aria-invalid", "true");
    describe(field, id);
    field.after(said);
    for (let around = field.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  } else field.append(said);
  return true;
}
