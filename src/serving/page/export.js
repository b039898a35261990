// SPDX-License-Identifier: Apache-2.0
// The conversation and its requests for use elsewhere: JSON, Markdown, curl, Python.
"use strict";

const exporting = (() => {
  /** The request that answers the user's message, with the present settings. */
  function requestOf(user) {
    const values = settings.read();
    const body = { model: values.model || "default", messages: settings.messages(values, tree.pathTo(user.id)),
                   ...settings.sampling(values) };
    if (values.count > 1) body.n = values.count;
    if (values.seed !== null) body.seed = values.seed;
    return body;
  }

  const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const address = () => `${location.origin}/v1/chat/completions`;

  function curl(user) {
    const key = server.key() ? ` \\\n  -H "Authorization: Bearer $PLAIT_API_KEY"` : "";
    const body = JSON.stringify({ ...requestOf(user), stream: true }, null, 2);
    return `curl -N ${address()} \\\n  -H "Content-Type: application/json"${key} \\\n  -d ${shellQuoted(body)}\n`;
  }

  /** A value of JSON in Python's words. JSON's strings are Python's as they stand. */
  function pythonOf(value, indent = "") {
    const inner = indent + "    ";
    const listed = (items, open, end) => `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${end}`;
    if (typeof value === "boolean") return value ? "True" : "False";
    if (Array.isArray(value)) return listed(value.map((item) => pythonOf(item, inner)), "[", "]");
    if (typeof value !== "object") return JSON.stringify(value);
    return listed(Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonOf(item, inner)}`), "{", "}");
  }

  /** A program that needs nothing beside Python. With several answers it prints them one after the other at the end. */
  function python(user) {
    const body = { ...requestOf(user), stream: true };
    return `import json
import os
import urllib.request

body = ${pythonOf(body)}
request = urllib.request.Request(
    ${JSON.stringify(address())},
    data=json.dumps(body).encode(),
    headers={
        "Content-Type": "application/json",
        "Authorization": "Bearer " + os.environ.get("PLAIT_API_KEY", "none"),
    },
)
answers = [""] * body.get("n", 1)
with urllib.request.urlopen(request) as reply:
    for line in reply:
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[len(b"data: "):]).get("choices", []):
            text = choice["delta"].get("content") or ""
            answers[choice["index"]] += text
            if len(answers) == 1:
                print(text, end="", flush=True)
print("\\n\\n---\\n\\n".join(answers) if len(answers) > 1 else "")
`;
  }

  /** The shown path. */
  function markdownText() {
    const { system } = settings.read();
    const parts = ["# Chat with plait"];
    if (system.trim()) parts.push("## System", system);
    for (const node of tree.path()) {
      const model = node.model ? ` (${node.model}, seed ${node.seed})` : "";
      parts.push(node.role === "user" ? "## User" : `## Assistant${model}`, node.text);
    }
    return parts.join("\n\n") + "\n";
  }

  /** All branches, and the shown path as the API takes it. */
  function jsonText() {
    const values = settings.read();
    return JSON.stringify({ settings: values, messages: settings.messages(values, tree.path()), tree: tree.dump() }, null, 2);
  }

  const stamp = () => new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const saveJson = () => dom.download(`plait-${stamp()}.json`, "application/json", jsonText());
  const saveMarkdown = () => dom.download(`plait-${stamp()}.md`, "text/markdown", markdownText());

  return { curl, python, markdownText, jsonText, saveJson, saveMarkdown };
})();
