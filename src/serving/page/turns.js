// SPDX-License-Identifier: Apache-2.0
// The shown path as elements: user messages, answers, and side by side the strands at its end. Elements are kept as long
// as what they show is on the path; a long chat's beginning is made in slices while nothing else happens.
"use strict";

const turns = (() => {
  const FIRST_TURNS = 30;
  const SLICE_MS = 8;
  const BOTTOM_PX = 80;

  let views = new Map();     // key -> {key, element, update()}
  let answers = new Map();   // node id -> {body, update()}
  let from = 0;              // turns of the path before this one are not made yet
  let growing = 0;
  let stick = true;
  let actions = {};

  const log = () => dom.byId("log");

  function listen(handlers) {
    actions = handlers;
    log().addEventListener("scroll", () => {
      stick = log().scrollHeight - log().scrollTop - log().clientHeight < BOTTOM_PX;
    }, { passive: true });
  }

  // ---- parts

  /** ‹ 2/3 › between things that stand at the same place; hidden where there is one only. */
  function switcher(what, list, isShown, go) {
    const place = dom.make("span", { class: "place" });
    const step = (by) => {
      const items = list();
      const item = items[items.findIndex(isShown) + by];
      if (item) go(item);
    };
    const back = dom.button("‹", `Earlier ${what}`, () => step(-1), { class: "small" });
    const forth = dom.button("›", `Later ${what}`, () => step(1), { class: "small" });
    const element = dom.make("span", { class: "switch", role: "group", "aria-label": `Which ${what}` }, back, place, forth);
    const update = () => {
      const items = list();
      const at = items.findIndex(isShown);
      dom.set(element, { hidden: items.length < 2 });
      dom.set(place, { textContent: `${at + 1}/${items.length}` });
      dom.set(back, { disabled: at <= 0 });
      dom.set(forth, { disabled: at >= items.length - 1 });
    };
    return { element, update };
  }

  function choose(node) {
    tree.choose(node.id);
    render();
  }

  function userTurn(node) {
    const text = dom.make("div", { class: "said" }, node.text);
    const which = switcher("wording", () => tree.siblings(node), (other) => other.id === node.id, choose);
    const tools = dom.make("div", { class: "tools" }, which.element,
      dom.button("Edit", "Edit this message and branch", () => edit(node, text, tools), { class: "small" }),
      dom.button("Copy", "Copy this message", () => dom.copy(node.text, "the message"), { class: "small" }),
      dom.button("Again", "Answer this message again", () => actions.again(node), { class: "small" }),
      dom.button("curl", "Copy the request as curl", () => dom.copy(exporting.curl(node), "the request for curl"),
        { class: "small" }),
      dom.button("Python", "Copy the request as Python", () => dom.copy(exporting.python(node), "the request in Python"),
        { class: "small" }));
    const element = dom.make("section", { class: "turn user", "aria-label": "You" }, text, tools);
    return { element, update: which.update };
  }

  function edit(node, text, tools) {
    const field = dom.make("textarea", { rows: "3", "aria-label": "The message, edited" });
    field.value = node.text;
    const close = () => {
      form.remove();
      text.hidden = tools.hidden = false;
      tools.querySelector("button:not(:disabled)")?.focus();
    };
    const send = () => {
      const wanted = field.value.trim();
      if (wanted && actions.branch(node, wanted)) close();
    };
    const form = dom.make("div", { class: "editing" }, field,
      dom.make("p", { class: "buttons" }, dom.button("Send as a branch", "", send, { class: "main" }),
        dom.button("Cancel", "Cancel the edit", close)));
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter" && !event.shiftKey) send();
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    text.hidden = tools.hidden = true;
    text.after(form);
    field.focus();
  }

  // ---- answers

  const ENDS = { length: "cut at max tokens", stopped: "stopped", lost: "broke off", error: "failed" };

  function figures(node) {
    const strand = strands.progress(node);
    const words = [`seed ${node.seed}${node.choice ? ` (${node.choice + 1})` : ""}`];
    if (node.forked !== undefined) words.push(`forked at ${node.forked}`);
    if (strand && !strand.first) words.push("waiting");
    if (strand?.first) {
      const seconds = (performance.now() - strand.first) / 1000;
      words.push(`${strand.pieces} tokens`);
      if (seconds > 0.3) words.push(`${Math.round(strand.pieces / seconds)}/s`);
    }
    if (!strand && node.tokens !== undefined) words.push(`${node.tokens} tokens in ${node.seconds.toFixed(1)} s`);
    if (!strand && ENDS[node.end]) words.push(ENDS[node.end]);
    return words.join(" · ");
  }

  /** One answer with its tools; `column` where others stand beside it. */
  function answerView(node, name, column) {
    const body = dom.make("div", { class: "text" });
    const thought = node.thought ? thinking.view(node) : null;
    const writer = new markdown.Writer(body);
    const about = dom.make("span", { class: "about" });
    const trouble = dom.make("div", { class: "trouble", hidden: true });
    const small = { class: "small" };
    const stop = dom.button("Stop", `Stop ${name}`, () => strands.stop(node), { class: "small danger" });
    const go = dom.button("Continue here", `Continue from ${name}`, () => choose(node), { class: "small go" });
    const tools = [
      dom.button("Copy", `Copy ${name}`, () => dom.copy(node.text, name), small),
      dom.button("Fork…", `Fork ${name} at a place of your choice`, () => actions.fork(node), small)];
    const again = dom.button("Try again", `Try ${name} again`, () => actions.retry(node), small);
    const element = dom.make("article", { class: "answer", "aria-label": name },
      dom.make("header", {}, dom.make("h2", {}, name), about), thought?.element, body, trouble,
      dom.make("div", { class: "tools" }, stop, column ? go : null, ...tools, again));
    const update = () => {
      const runs = Boolean(strands.progress(node));
      writer.update(node.text);
      thought?.update();
      dom.set(about, { textContent: figures(node) });
      dom.set(body, { ariaBusy: String(runs) });
      element.classList.toggle("runs", runs);
      dom.set(stop, { hidden: !runs });
      for (const tool of tools) dom.set(tool, { hidden: !node.text });
      dom.set(again, { hidden: runs || !["lost", "error", "stopped"].includes(node.end) });
      if (column) {
        dom.set(go, { textContent: tree.hasChildren(node.id) ? "Show what follows" : "Continue here",
                      ariaPressed: String(tree.path().at(-1) === node) });
      }
      dom.set(trouble, { hidden: !node.error, textContent: node.error ? `${node.error.message} ${node.error.advice}` : "" });
    };
    answers.set(node.id, { body, update });
    return { element, update };
  }

  function continuedTurn(node) {
    const which = switcher("strand", () => tree.siblings(node), (other) => other.id === node.id, choose);
    const answer = answerView(node, "Answer", false);
    answer.element.querySelector(".tools").prepend(which.element);
    answer.update();
    return { element: dom.make("section", { class: "turn" }, answer.element), update: which.update };
  }

  function columnsTurn(node) {
    const first = (run) => tree.siblings(node).find((other) => other.run === run);
    const runs = () => [...new Set(tree.siblings(node).map((other) => other.run))].map(first);
    const which = switcher("set of answers", runs, (other) => other.run === node.run, choose);
    const group = tree.runOf(node);
    const parts = group.map((other, i) => {
      const part = answerView(other, group.length > 1 ? `Strand ${i + 1}` : "Answer", group.length > 1);
      part.element.dataset.strand = String(i % 8);
      return part;
    });
    const columns = dom.make("div", { class: "columns", role: "group", "aria-label": dom.plural(group.length, "strand") },
      ...parts.map((part) => part.element));
    if (group.length > 1) columns.tabIndex = 0;  // scrolls sideways
    const element = dom.make("section", { class: "turn" }, which.element, columns);
    const update = () => {
      which.update();
      const chosen = tree.path().at(-1);
      parts.forEach((part, i) => {
        part.update();
        part.element.classList.toggle("chosen", group.length > 1 && group[i] === chosen);
      });
    };
    return { element, update };
  }

  // ---- the whole

  const isEnd = (node) => node.role === "assistant" && !tree.hasChildren(node.id);
  const keyOf = (node) => (isEnd(node) ? `r${node.parent}.${node.run}` : `n${node.id}`);

  function viewOf(node) {
    const key = keyOf(node);
    let view = views.get(key);
    if (!view) view = { key, ...(node.role === "user" ? userTurn : isEnd(node) ? columnsTurn : continuedTurn)(node) };
    return view;
  }

  /** Shows the tree's path. */
  function render() {
    const path = tree.path();
    const makeFrom = path.length - FIRST_TURNS;
    if (views.size === 0) from = Math.max(makeFrom, 0);
    from = Math.min(from, path.length);
    const kept = new Map();
    const box = dom.byId("turns");
    let place = box.firstChild;
    for (const node of path.slice(from)) {
      const view = viewOf(node);
      kept.set(view.key, view);
      if (view.element === place) place = place.nextSibling;
      else box.insertBefore(view.element, place);
      view.update();
    }
    for (const [key, view] of views) if (!kept.has(key)) view.element.remove();
    views = kept;
    dom.byId("welcome").hidden = path.length > 0;
    if (from > 0 && !growing) growing = setTimeout(grow, 30);
    toBottom();
  }

  // Makes more of the beginning.
  function grow() {
    growing = 0;
    const path = tree.path();
    const until = performance.now() + SLICE_MS;
    const box = dom.byId("turns");
    from = Math.min(from, path.length);
    while (from > 0 && performance.now() < until) {
      from -= 1;
      const view = viewOf(path[from]);
      views.set(view.key, view);
      box.prepend(view.element);
      view.update();
    }
    if (from > 0) growing = setTimeout(grow, 16);
    toBottom();
  }

  function news(nodes) {
    for (const node of nodes) answers.get(node.id)?.update();
    toBottom();
  }

  /** The element with the text of an answer that is shown. */
  const textOf = (node) => answers.get(node.id).body;

  function toBottom(always = false) {
    if (always) stick = true;
    if (stick) log().scrollTop = log().scrollHeight;
  }

  function reset() {
    for (const view of views.values()) view.element.remove();
    views = new Map();
    answers = new Map();
    render();
  }

  /** Continues from the strand of this number, counted from 0, at the end of the path. */
  function chooseStrand(number) {
    const last = tree.path().at(-1);
    const node = last?.role === "assistant" && !tree.hasChildren(last.id) ? tree.runOf(last)[number] : null;
    if (!node || tree.runOf(last).length < 2) return;
    choose(node);
    dom.announce(`Strand ${number + 1} is chosen.`);
  }

  return { listen, render, news, textOf, toBottom, reset, chooseStrand };
})();
