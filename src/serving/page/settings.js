// SPDX-License-Identifier: Apache-2.0
// What requests are made with: model, number of strands, sampling. Kept in localStorage.
"use strict";

const settings = (() => {
  const NAME = "plait.settings";
  const NUMBERS = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
                   "max_tokens", "seed"];
  const STRANDS_MAX = 8;

  const field = (name) => dom.byId(name);
  let wantedModel = "";

  function read() {
    const values = { model: field("model").value, count: Number(field("count").value), system: field("system").value,
                     strategy: field("strategy").value };
    for (const name of NUMBERS) {
      const input = field(name);
      values[name] = input.value === "" || !input.validity.valid ? null : input.valueAsNumber;
    }
    return values;
  }

  function keep() {
    try {
      localStorage.setItem(NAME, JSON.stringify({ ...read(), model: field("model").value || wantedModel }));
    } catch { /* the chat itself says when the storage is full */ }
  }

  function restore() {
    for (let i = 1; i <= STRANDS_MAX; ++i) field("count").append(dom.make("option", { value: String(i) }, String(i)));
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(NAME)) ?? {};
    } catch { /* as if there were none */ }
    field("count").value = String(Math.min(Math.max(Number(kept.count) || 2, 1), STRANDS_MAX));
    field("system").value = typeof kept.system === "string" ? kept.system : "";
    const known = [...field("strategy").options].some((option) => option.value === kept.strategy);
    field("strategy").value = known ? kept.strategy : "";
    for (const name of NUMBERS) if (Number.isFinite(kept[name])) field(name).value = String(kept[name]);
    wantedModel = typeof kept.model === "string" ? kept.model : "";
    for (const name of ["model", "count", "system", "strategy", ...NUMBERS]) field(name).addEventListener("change", keep);
  }

  /** Fills the list of models. */
  async function loadModels() {
    const names = (await server.json("/v1/models")).data.map((model) => model.id);
    const wanted = field("model").value || wantedModel;
    field("model").replaceChildren(...names.map((name) => dom.make("option", { value: name }, name)));
    field("model").value = names.includes(wanted) ? wanted : names[0] ?? "";
  }

  /** The first field whose number is out of its range; null if all is well. */
  function wrongField() {
    return NUMBERS.map(field).find((input) => !input.validity.valid) ?? null;
  }

  /** The members of a request that say how to sample. */
  function sampling(values) {
    const members = {};
    for (const name of NUMBERS) if (values[name] !== null && name !== "seed") members[name] = values[name];
    return members;
  }

  /** The messages of a request: the system prompt, then the path. */
  function messages(values, path) {
    const system = values.system.trim() ? [{ role: "system", content: values.system }] : [];
    return [...system, ...path.map((node) => ({ role: node.role, content: node.text }))];
  }

  return { read, restore, loadModels, wrongField, sampling, messages };
})();
