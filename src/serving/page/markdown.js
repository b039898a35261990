// SPDX-License-Identifier: Apache-2.0
// A small Markdown, from untrusted text to nodes: paragraphs, headings, fences, lists, inline code, bold, italic. What
// it does not know stays as it was written. Time is linear in the text, whatever it holds.
"use strict";

const markdown = (() => {
  const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/;
  const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
  const HEADING = /^ {0,3}#{1,6}\s+(.*)$/;
  const DEPTH_MAX = 4;
  const TICKS_MAX = 8;  // around inline code; each number of them is searched for once

  // ---- inline

  const MARKS = [["**", "strong"], ["__", "strong"], ["*", "em"], ["_", "em"]];

  /** Nodes of one paragraph's text. */
  function inline(text, depth = 0) {
    const nodes = [];
    const closers = new Map();  // mark -> no closer from here on
    let plain = 0;
    let at = 0;
    const take = (from, to, node) => {
      if (plain < from) nodes.push(text.slice(plain, from));
      nodes.push(node);
      plain = at = to;
    };
    while (at < text.length) {
      const char = text[at];
      if (char === "`") {
        const ticks = runLength(text, at);
        const end = ticks > TICKS_MAX ? -1 : nextMark(text, "`".repeat(ticks), at + ticks, closers);
        if (end > 0) take(at, end + ticks, dom.make("code", {}, text.slice(at + ticks, end)));
        else at += ticks;
      } else if (char === "\\" && /[\\`*_{}[\]()#+.!-]/.test(text[at + 1] ?? "")) {
        take(at, at + 2, text[at + 1]);
      } else if ((char === "*" || char === "_") && depth < DEPTH_MAX) {
        const found = emphasis(text, at, closers);
        if (found) take(at, found.end, dom.make(found.tag, {}, inline(found.inside, depth + 1)));
        else at += runLength(text, at);
      } else {
        at += 1;
      }
    }
    if (plain < text.length) nodes.push(text.slice(plain));
    return nodes;
  }

  function runLength(text, at) {
    let end = at + 1;
    while (text[end] === text[at]) end += 1;
    return end - at;
  }

  function nextMark(text, mark, from, closers) {
    if (closers.has(mark)) return -1;
    const end = text.indexOf(mark, from);
    if (end < 0) closers.set(mark, true);
    return end;
  }

  function emphasis(text, at, closers) {
    for (const [mark, tag] of MARKS) {
      if (!text.startsWith(mark, at)) continue;
      const inner = at + mark.length;
      if (/\s|^$/.test(text[inner] ?? "")) return null;
      if (mark[0] === "_" && /\w/.test(text[at - 1] ?? "")) return null;
      const end = nextMark(text, mark, inner + 1, closers);
      if (end < 0 || /\s/.test(text[end - 1])) return null;
      if (mark[0] === "_" && /\w/.test(text[end + mark.length] ?? "")) return null;
      return { tag, inside: text.slice(inner, end), end: end + mark.length };
    }
    return null;
  }

  // ---- blocks

  /** Nodes of a whole text. */
  function blocks(text) {
    const lines = text.split("\n");
    const nodes = [];
    let paragraph = [];
    const flush = () => {
      if (paragraph.length) nodes.push(dom.make("p", {}, inline(paragraph.join("\n"))));
      paragraph = [];
    };
    for (let i = 0; i < lines.length;) {
      const fence = FENCE.exec(lines[i]);
      const heading = HEADING.exec(lines[i]);
      if (fence) {
        flush();
        const end = fenceEnd(lines, i + 1, fence[1]);
        nodes.push(codeBlock(lines.slice(i + 1, end).join("\n"), fence[2]));
        i = end + 1;
      } else if (heading) {
        flush();
        nodes.push(dom.make("p", { class: "heading" }, dom.make("strong", {}, inline(heading[1]))));
        i += 1;
      } else if (ITEM.test(lines[i])) {
        flush();
        const end = listEnd(lines, i);
        nodes.push(list(lines.slice(i, end)));
        i = end;
      } else {
        if (lines[i].trim()) paragraph.push(lines[i]);
        else flush();
        i += 1;
      }
    }
    flush();
    return nodes;
  }

  function fenceEnd(lines, from, mark) {
    let end = from;
    while (end < lines.length && !(lines[end].trim().startsWith(mark) && /^[`~\s]*$/.test(lines[end]))) end += 1;
    return end;
  }

  function codeBlock(text, language) {
    return dom.make("div", { class: "code" },
      dom.make("header", {}, language || "code",
        dom.button("Copy", "Copy this code", () => dom.copy(text, "the code"), { class: "small" })),
      dom.make("pre", { tabindex: "0", role: "group", "aria-label": language ? `Code, ${language}` : "Code" },
        dom.make("code", {}, text)));
  }

  function listEnd(lines, from) {
    let end = from + 1;
    while (end < lines.length && lines[end].trim() && !FENCE.test(lines[end]) &&
           (ITEM.test(lines[end]) || /^\s/.test(lines[end]))) end += 1;
    return end;
  }

  // Items by their indent; a line without a mark belongs to the item above it.
  function list(lines) {
    const root = { indent: -1, element: null, item: null };
    const open = [root];
    let top = null;
    for (const line of lines) {
      const match = ITEM.exec(line);
      if (!match) {
        if (open.at(-1).item) dom.append(open.at(-1).item, ["\n", ...inline(line.trim())]);
        continue;
      }
      const indent = match[1].length;
      while (open.length > 1 && open.at(-1).indent > indent) open.pop();
      if (open.length === 1 || (open.at(-1).indent < indent && open.length <= DEPTH_MAX)) {
        const ordered = /\d/.test(match[2]);
        const element = dom.make(ordered ? "ol" : "ul", ordered ? { start: String(parseInt(match[2], 10)) } : {});
        if (open.length === 1) top ??= element;
        (open.at(-1).item ?? (top === element ? null : top))?.append(element);
        open.push({ indent, element, item: null });
      }
      const level = open.at(-1);
      level.item = dom.make("li", {}, inline(match[3]));
      level.element.append(level.item);
    }
    return top;
  }

  // ---- streams

  /** Where the text can be cut so that what stands before is rendered the same whatever follows. */
  function stableEnd(text, from) {
    let fence = null;
    let stable = from;
    let at = from;
    for (;;) {
      const end = text.indexOf("\n", at);
      if (end < 0) return stable;
      const line = text.slice(at, end);
      const mark = FENCE.exec(line);
      if (fence === null && mark) fence = mark[1];
      else if (fence !== null && line.trim().startsWith(fence) && /^[`~\s]*$/.test(line)) fence = null;
      at = end + 1;
      if (fence === null && !line.trim()) stable = at;
    }
  }

  /** Renders a text that grows into `element`: only its last block is made anew each time. */
  class Writer {
    constructor(element) {
      this.element = element;
      this.stable = 0;
      this.tail = [];
      this.text = "";
    }

    update(text) {
      if (text === this.text) return;
      this.text = text;
      if (text.length < this.stable) {
        this.element.replaceChildren();
        this.stable = 0;
        this.tail = [];
      }
      for (const node of this.tail) node.remove();
      const end = stableEnd(text, this.stable);
      if (end > this.stable) dom.append(this.element, blocks(text.slice(this.stable, end)));
      this.stable = end;
      this.tail = blocks(text.slice(end));
      dom.append(this.element, this.tail);
    }
  }

  return { blocks, Writer };
})();
