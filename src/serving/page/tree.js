// SPDX-License-Identifier: Apache-2.0
// The conversation: a tree of messages, of which one path is shown. It lives in localStorage.
//
//   node: {id, parent, role: "user" | "assistant", text}
//   and for answers: run (those made together share it), seed, choice, model, end ("stop", "length", "stopped", "lost",
//   "error"), tokens, seconds, error, forked (characters taken over from another answer),
//   thought (what a strategy's strands do, thinking.js) and thinkers (how many it was asked for)
"use strict";

const tree = (() => {
  const NAME = "plait.chat";
  const ROOT = 0;

  let nodes = new Map();
  let children = new Map();  // id -> ids
  let chosen = new Map();    // id -> the child that the shown path goes to
  let next = 1;
  let saving = 0;
  let full = false;

  function clear() {
    nodes = new Map();
    children = new Map([[ROOT, []]]);
    chosen = new Map();
    next = 1;
  }

  function add(parent, role, text, more = {}) {
    const node = { id: next++, parent, role, text, ...more };
    nodes.set(node.id, node);
    children.set(node.id, []);
    children.get(parent).push(node.id);
    chosen.set(parent, node.id);
    save();
    return node;
  }

  const get = (id) => nodes.get(id);
  const childrenOf = (id) => (children.get(id) ?? []).map(get);
  const hasChildren = (id) => (children.get(id) ?? []).length > 0;

  /** From now on the shown path goes through this node. */
  function choose(id) {
    for (let node = get(id); node; node = get(node.parent)) chosen.set(node.parent, node.id);
    save();
  }

  /** The shown messages, first one first. */
  function path() {
    const found = [];
    for (let id = chosen.get(ROOT); id !== undefined; id = chosen.get(id)) found.push(get(id));
    return found;
  }

  /** The messages down to this node, it included. */
  function pathTo(id) {
    const found = [];
    for (let node = get(id); node; node = get(node.parent)) found.push(node);
    return found.reverse();
  }

  /** Nodes with the same parent, which a reader can switch between. */
  const siblings = (node) => childrenOf(node.parent);
  /** The answers that were made together with this one. */
  const runOf = (node) => siblings(node).filter((other) => other.run === node.run);
  const newRun = () => next++;

  function dump() {
    return { version: 1, next, chosen: [...chosen], nodes: [...nodes.values()] };
  }

  function load(data) {
    clear();
    if (data?.version !== 1 || !Array.isArray(data.nodes)) return false;
    for (const node of data.nodes) {
      if (!children.has(node.parent) || !Number.isInteger(node.id) || node.id <= 0 || nodes.has(node.id) ||
          typeof node.text !== "string" || !["user", "assistant"].includes(node.role)) continue;
      if (node.role === "assistant" && !node.end) node.end = "lost";  // the page was closed meanwhile
      nodes.set(node.id, node);
      children.set(node.id, []);
      children.get(node.parent).push(node.id);
    }
    next = Math.max(data.next | 0, 1, ...[...nodes.keys()].slice(-1).map((id) => id + 1));
    for (const [id, child] of data.chosen ?? []) if (get(child)?.parent === id) chosen.set(id, child);
    for (const [id, ids] of children) if (ids.length && !chosen.has(id)) chosen.set(id, ids.at(-1));
    return true;
  }

  function write() {
    clearTimeout(saving);
    saving = 0;
    try {
      localStorage.setItem(NAME, JSON.stringify(dump()));
      full = false;
    } catch {
      if (!full) dom.notice("The browser's storage is full: this chat is kept no further. Export it, then begin a new one.");
      full = true;
    }
  }

  /** Soon, and once for many changes. */
  function save() {
    if (!saving) saving = setTimeout(write, 400);
  }

  function restore() {
    clear();
    try {
      return load(JSON.parse(localStorage.getItem(NAME)));
    } catch {
      return false;
    }
  }

  addEventListener("pagehide", () => { if (saving || strands.count()) write(); });
  addEventListener("storage", (event) => {
    if (event.key === NAME) dom.notice("This chat was changed in another tab. Reload the page to go on from there.");
  });

  return { ROOT, clear, add, get, childrenOf, hasChildren, choose, path, pathTo, siblings, runOf, newRun, dump, load, save,
           write, restore };
})();
