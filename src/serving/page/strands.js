// SPDX-License-Identifier: Apache-2.0
// Answers in the making. Each strand has a request of its own, so that closing it stops this strand alone; prompts that
// begin alike are computed once by the server. Browsers open six connections to a server at most: more than four strands
// share requests (`n`), so that the live view and /health keep a connection each.
"use strict";

const strands = (() => {
  const REQUESTS_MAX = 4;

  const running = new Map();  // node id -> strand
  const dirty = new Set();    // node ids with news since the last frame
  let frame = 0;
  let changed = () => {};
  let counted = () => {};

  /** `onNews(nodes)` once a frame for all that changed in it; `onCount()` when the number of strands changes. */
  function listen(onNews, onCount) {
    changed = onNews;
    counted = onCount;
  }

  function touch(node) {
    dirty.add(node);
    if (frame) return;
    // Hidden pages get no frames, and their answers must not wait.
    frame = document.hidden ? setTimeout(flush, 250) : requestAnimationFrame(flush);
  }

  function flush() {
    frame = 0;
    const nodes = [...dirty];
    dirty.clear();
    changed(nodes);
  }

  const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;

  // ---- what is asked

  const chatRequest = (user, values) => async () => (
    { path: "/v1/chat/completions", body: { messages: settings.messages(values, tree.pathTo(user.id)) } });

  /** The prompt is the chat as the server renders it, then the prefix; all strands share it. */
  function forkRequest(user, values, prefix) {
    const make = async () => {
      const messages = settings.messages(values, tree.pathTo(user.id));
      const [before, begun] = await Promise.all([
        server.postJson("/tokenize", { messages }),
        prefix ? server.postJson("/tokenize", { content: prefix, add_special: false }) : { tokens: [] },
      ]);
      const prompt = [...before.tokens, ...begun.tokens];
      const room = Math.max(before.max_model_len - prompt.length, 1);  // else completions end after 16 tokens
      return { path: "/v1/completions", body: { prompt, max_tokens: room } };
    };
    let made = null;
    return () => (made ??= make());
  }

  /** New answers to the user's message: nodes at once, text as it comes. */
  function answer(user, values) {
    if (values.strategy) return think(user, values);
    return begin(user, values, { text: "" }, chatRequest(user, values));
  }

  const thoughtRequest = (user, values, strategy, count) => async () => (
    { path: "/v1/chat/completions",
      body: { messages: settings.messages(values, tree.pathTo(user.id)), plait: thinking.asked(strategy, count) } });

  /** One answer, by a strategy of several strands. */
  function think(user, values) {
    const { strategy, count } = values;
    return begin(user, { ...values, count: 1 }, { text: "", thought: thinking.begin(strategy), thinkers: count },
                 thoughtRequest(user, values, strategy, count));
  }

  /** New answers that go on from `prefix`, beside `node`. */
  function fork(node, prefix, values) {
    const user = tree.get(node.parent);
    return begin(user, values, { text: prefix, forked: prefix.length }, forkRequest(user, values, prefix));
  }

  /** The same strand once more, in place. */
  function retry(node, values) {
    if (running.has(node.id)) return;
    const user = tree.get(node.parent);
    const prefix = node.text.slice(0, node.forked ?? 0);
    if (node.choice) node.seed = randomSeed();  // a choice of a shared request has no seed of its own
    Object.assign(node, { text: prefix, choice: 0, model: values.model });
    for (const name of ["end", "error", "tokens", "seconds"]) delete node[name];
    touch(node);
    if (node.thought) {
      node.thought = thinking.begin(node.thought.strategy);
      return carry([node], values, thoughtRequest(user, values, node.thought.strategy, node.thinkers));
    }
    carry([node], values, node.forked === undefined ? chatRequest(user, values) : forkRequest(user, values, prefix));
  }

  function begin(user, values, start, request) {
    const run = tree.newRun();
    const seed = values.seed ?? randomSeed();
    const { count, model } = values;
    const requests = Math.min(count, REQUESTS_MAX);
    const groups = [];
    for (let i = 0; i < requests; ++i) {
      const n = Math.floor(count / requests) + (i < count % requests ? 1 : 0);
      groups.push(Array.from({ length: n }, (_, choice) => {
        const { text, ...more } = start;
        return tree.add(user.id, "assistant", text, { run, seed: seed + i, choice, model, ...more });
      }));
    }
    tree.choose(groups[0][0].id);
    for (const group of groups) carry(group, values, request);
    dom.announce(count === 1 ? "The answer begins." : `${count} strands begin.`);
    return groups.flat();
  }

  // One request and the strands on it.
  async function carry(group, values, request) {
    const controller = new AbortController();
    const began = performance.now();
    for (const node of group) running.set(node.id, { node, group, controller, began, first: 0, pieces: 0 });
    counted();
    let failure = null;
    try {
      const { path, body } = await request();
      controller.signal.throwIfAborted();
      const whole = { model: values.model || undefined, ...body, ...settings.sampling(values), seed: group[0].seed,
                      stream: true, stream_options: { include_usage: true } };
      if (group.length > 1) whole.n = group.length;
      await server.stream(path, whole, controller.signal, (part) => take(group, part));
    } catch (error) {
      failure = error;
    }
    for (const node of group) if (running.has(node.id)) end(node, failure);
    settle();
  }

  function take(group, part) {
    if (part.plait && group[0].thought) {
      thinking.take(group[0].thought, part.plait);
      const strand = running.get(group[0].id);
      if (strand && part.plait.event === "text") {
        strand.first ||= performance.now();
        strand.pieces += 1;
      }
      touch(group[0]);
    }
    for (const choice of part.choices ?? []) {
      const node = group[choice.index];
      const strand = node && running.get(node.id);
      if (!strand) continue;
      const text = choice.delta?.content ?? choice.text ?? "";
      if (text) {
        strand.first ||= performance.now();
        strand.pieces += 1;
        node.text += text;
        touch(node);
      }
      if (choice.finish_reason) {
        node.end = choice.finish_reason;
        if (group.length > 1) end(node, null);  // its siblings go on
      }
    }
    if (part.usage && group.length === 1) group[0].tokens = part.usage.completion_tokens;
  }

  function end(node, failure) {
    const strand = running.get(node.id);
    running.delete(node.id);
    node.tokens ??= strand.pieces;
    node.seconds = (performance.now() - strand.began) / 1000;
    if (failure && failure.name === "AbortError") node.end = "stopped";
    else if (failure) {
      node.end = ["unreachable", "broken"].includes(failure.code) ? "lost" : "error";
      node.error = { message: failure.message, advice: failure.advice ?? "Try again.", code: failure.code ?? "" };
    }
    node.end ??= "stop";
    touch(node);
    tree.save();
    counted();
  }

  function settle() {
    if (running.size) return;
    dom.announce("All strands have ended.");
  }

  /** Ends this strand. Its request is closed with the last strand on it. */
  function stop(node) {
    const strand = running.get(node.id);
    if (!strand) return;
    end(node, { name: "AbortError" });
    if (!strand.group.some((other) => running.has(other.id))) strand.controller.abort();
  }

  function stopAll() {
    const count = running.size;
    for (const { node } of [...running.values()]) stop(node);
    if (count) dom.notice(`Stopped: ${dom.plural(count, "strand")}.`);
    return count > 0;
  }

  /** {first, pieces, began, …} of a strand that runs. */
  const progress = (node) => running.get(node.id);
  const count = () => running.size;

  return { listen, answer, fork, retry, stop, stopAll, progress, count };
})();
