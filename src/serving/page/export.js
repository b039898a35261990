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

  function curl(user) {
    const key = server.key() ? ` \\\n  -H "Authorization: Bearer $PLAIT_API_KEY"` : "";
    const body = JSON.stringify({ ...requestOf(user), stream: true }, null, 2);
    return `curl -N ${location.origin}/v1/chat/completions \\\n  -H "Content-Type: application/json"${key} \\\n` +
           `  -d ${shellQuoted(body)}\n`;
  }

  /** A value of JSON in Python's words. JSON's strings are Python's as they stand. */
  function pythonOf(value, indent) {
    const inner = indent + "    ";
    if (value === null) return "None";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (Array.isArray(value)) {
      return `[\n${value.map((item) => `${inner}${pythonOf(item, inner)},\n`).join("")}${indent}]`;
    }
    if (typeof value === "object") {
      const members = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonOf(item, inner)}`);
      return `{${members.join(", ")}}`;
    }
    return JSON.stringify(value);
  }

  function python(user) {
    const { top_k, min_p, ...known } = requestOf(user);
    const extra = Object.fromEntries(Object.entries({ top_k, min_p }).filter(([, value]) => value !== undefined));
    if (Object.keys(extra).length) known.extra_body = extra;
    const members = Object.entries(known).map(([name, value]) => `    ${name}=${pythonOf(value, "    ")},\n`).join("");
    return `import os

from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(location.origin + "/v1")}, api_key=os.environ.get("PLAIT_API_KEY", "none"))
stream = client.chat.completions.create(
${members}    stream=True,
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.index, choice.delta.content or "")
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
