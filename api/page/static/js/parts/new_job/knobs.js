// A method's hyperparameters as fields, from their JSON Schema: those that matter first.

import { h, show } from "../../core/dom.js";
import { number } from "../../core/format.js";

const FIRST = ["learning_rate", "n_epochs", "batch_size"];

/**
 * Fields of `method`. `shared` are the names that plain fine-tuning has as well: what a method has
 * beyond them is what it is about. `change(name, text)` is told what was typed. Returns {element,
 * resolved(values)}, which shows what "auto" comes to.
 */
export function knobs(method, shared, values, change) {
  const fields = new Map();
  const properties = Object.entries(method.hyperparameters.properties ?? {});
  const isFirst = ([name]) => FIRST.includes(name) || !shared.has(name);
  const draw = ([name, schema]) => {
    const made = field(method, name, schema, values[name] ?? "", (text) => change(name, text));
    fields.set(name, made.input);
    return made.element;
  };
  const first = properties.filter(isFirst).map(draw);
  const rest = properties.filter((property) => !isFirst(property)).map(draw);
  const touched = properties.some((property) => !isFirst(property) && values[property[0]]);
  const element = h("div");
  show(
    element,
    h("div", { class: "knobs" }, first),
    rest.length > 0 && h("details", { open: touched }, h("summary", {}, `${rest.length} more settings`), h("div", { class: "knobs" }, rest)),
  );
  return {
    element,
    resolved(found) {
      for (const [name, input] of fields) {
        if (input.tagName === "INPUT") input.placeholder = found && found[name] !== undefined ? said(found[name]) : "auto";
        else input.options[0].textContent = found && found[name] !== undefined ? `${said(found[name])} (default)` : "default";
      }
    },
  };
}

/** The name that the API's errors give a hyperparameter. */
export const param = (method, name) => `method.${method}.hyperparameters.${name}`;

function field(method, name, schema, value, change) {
  const id = `knob-${name}`;
  const common = { id, dataset: { param: param(method.name, name) }, "aria-describedby": `${id}-help`, value };
  const choices = choicesOf(schema);
  const input = choices
    ? h("select", { ...common, onchange: () => change(input.value) }, [["", "default"], ...choices.map((each) => [each, each])].map(([key, text]) => h("option", { value: key }, text)))
    : h("input", { ...common, type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", oninput: () => change(input.value) });
  input.value = value;
  const element = h(
    "div",
    {},
    h("label", { for: id }, name.replaceAll("_", " ")),
    input,
    h("p", { class: "muted small", id: `${id}-help` }, schema.description ?? ""),
  );
  return { element, input };
}

function choicesOf(schema) {
  if (schema.enum) return schema.enum.map(String);
  if (schema.type === "boolean") return ["true", "false"];
  return null;
}

const said = (value) => (value === null ? "none" : typeof value === "number" ? number(value, 4) : String(value));
