// The question on the page as a call that can be made from anywhere.

import { h } from "../../core/dom.js";
import { copyButton } from "../copy.js";

/** Both snippets, for an image of that name. */
export function asRequest(request, filename) {
  const key = h("p", { class: "muted small" }, "LIPSUM_API_KEY is an API key with the scope models:infer.");
  const languages = [["curl", asCurl(location.origin, request, filename)], ["Python", asPython(location.origin, request, filename)]];
  return [
    key,
    languages.map(
      ([name, text]) => h(
        "div",
        {},
        h("p", {}, h("strong", {}, name)),
        h("pre", { tabindex: "0", "aria-label": `${name} lines` }, text),
        h("div", { class: "actions" }, copyButton(text, `the ${name} lines`)),
      ),
    ),
  ];
}

export function asCurl(origin, request, filename) {
  const head = JSON.stringify(request).replace(/\}$/, ',"inputs":"');
  return [
    `{ printf '%s' ${quoted(head)}`,
    `  base64 < ${quoted(filename)} | tr -d '\\n'`,
    `  printf '"}'`,
    `} | curl -s ${origin}/v1/classify \\`,
    `  -H "Authorization: Bearer $LIPSUM_API_KEY" \\`,
    `  -H "Content-Type: application/json" --data-binary @-`,
  ].join("\n");
}

export function asPython(origin, request, filename) {
  return [
    "import base64, os",
    "import requests",
    "",
    `with open(${JSON.stringify(filename)}, "rb") as file:`,
    "    image = base64.b64encode(file.read()).decode()",
    "answer = requests.post(",
    `    "${origin}/v1/classify",`,
    `    headers={"Authorization": f"Bearer {os.environ['LIPSUM_API_KEY']}"},`,
    "    json={",
    ...Object.entries(request).map(([name, value]) => `        ${JSON.stringify(name)}: ${JSON.stringify(value)},`),
    `        "inputs": image,`,
    "    },",
    ")",
    "answer.raise_for_status()",
    `for each in answer.json()["images"][0]["answers"]:`,
    `    print(each["model"], each["label"], round(each["score"], 3), each["shift"])`,
  ].join("\n");
}

// As one word of a shell, whatever is in it.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
