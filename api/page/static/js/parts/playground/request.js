// The same question from a program.

import { h } from "../../core/dom.js";
import { copyButton } from "../copy.js";

export function asRequest(models, parameters) {
  const query = models.map((model) => `model=${encodeURIComponent(model)}`).join("&");
  const plain = Object.keys(parameters).length === 0;
  const curl = plain
    ? `curl -H "Authorization: Bearer $LIPSUM_API_KEY" \\
  --data-binary @photo.jpg "${location.origin}/v1/classify?${query}"`
    : `curl -H "Authorization: Bearer $LIPSUM_API_KEY" -H "Content-Type: application/json" \\
  -d "{\\"models\\": ${quoted(models)}, \\"inputs\\": \\"$(base64 -w0 photo.jpg)\\", \\"parameters\\": ${quoted(parameters)}}" \\
  ${location.origin}/v1/classify`;
  const python = `import base64, httpx

image = base64.b64encode(open("photo.jpg", "rb").read()).decode()
answer = httpx.post(
    "${location.origin}/v1/classify",
    headers={"Authorization": f"Bearer {API_KEY}"},
    json={"models": ${JSON.stringify(models)}, "inputs": image, "parameters": ${pythonic(parameters)}},
)
print(answer.json()["images"][0])`;
  return h("details", {}, h("summary", {}, "As a request"), [["curl", curl], ["Python", python]].map(([name, text]) => [h("h3", {}, name), h("pre", { tabindex: "0" }, text), copyButton(text, `the ${name} request`)]));
}

const quoted = (value) => JSON.stringify(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("$", "\\$").replaceAll("`", "\\`");
const pythonic = (value) => JSON.stringify(value).replaceAll(/\btrue\b/g, "True").replaceAll(/\bfalse\b/g, "False");
