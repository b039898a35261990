// SPDX-License-Identifier: Apache-2.0
// An answer that a strategy of strands works on: a column for each strand with its text as it comes, and above them a
// picture of who ran when and who read whom.
"use strict";

const thinking = (() => {
  const WIDTH = 600;
  const ROW = 14;
  const NAME = 92;
  const LINKS_MAX = 60;  // between strands that read each other

  /** What each strategy calls its number of strands. */
  const COUNTS = { "hogwild": "workers", "group-think": "thinkers", "threads": "max_threads", "spawn": "children",
                   "pdr": "rounds", "outlines": "n", "best-of": "n" };

  /** The member `plait` of a request. */
  function asked(strategy, count) {
    const name = COUNTS[strategy];
    return { strategy, strategy_options: name ? { [name]: count } : {} };
  }

  const begin = (strategy) => ({ strategy, calls: [] });

  /** Takes `plait` of a chunk. */
  function take(thought, part) {
    if (!part.event) {
      Object.assign(thought, { selector: part.selector, usage: part.usage, counts: part.counts });
      return;
    }
    const at = performance.now() / 1000;
    thought.from ??= at;
    let call = thought.calls.find((one) => one.id === part.call.id);
    if (!call) {
      call = { ...part.call, text: "", begin: at - thought.from, end: null, times: [] };
      thought.calls.push(call);
    }
    if (part.event === "text") {
      call.text += part.text;
      call.times.push(at - thought.from);
    } else if (part.event !== "opened") {
      call.end = at - thought.from;
      call.tokens = part.call.generated_tokens ?? 0;
      if (part.event === "failed") call.failed = part.text;
    }
  }

  /** Calls that say something; those that only compute a prompt do not. */
  const shown = (thought) => thought.calls.filter((call) => call.text || call.tokens || call.failed || call.end === null);

  function figures(thought) {
    const words = [thought.strategy];
    if (thought.selector) words.push(thought.selector);
    if (thought.usage) words.push(`${thought.usage.generated_tokens} tokens, ${thought.usage.critical_path_tokens} one after another`);
    return words.join(" · ");
  }

  // ---- the picture

  function picture(calls) {
    const last = Math.max(0.1, ...calls.map((call) => call.end ?? call.times.at(-1) ?? call.begin));
    const x = (seconds) => NAME + (WIDTH - NAME - 4) * seconds / last;
    const y = (index) => ROW * index + ROW / 2;
    const parts = [];
    calls.forEach((call, index) => {
      parts.push(dom.svg("text", { x: 0, y: y(index) + 4, class: "name" }, call.label.slice(0, 14)));
      parts.push(dom.svg("line", { x1: x(call.begin), x2: x(call.end ?? last), y1: y(index), y2: y(index),
                                   class: "bar", "data-strand": String(index % 8) }));
    });
    const workers = calls.map((call, index) => ({ call, index })).filter(({ call }) => call.role === "worker");
    for (const { call, index } of workers) {
      const step = Math.max(1, Math.ceil(call.times.length * workers.length / LINKS_MAX));
      for (let i = 0; i < call.times.length; i += step) {
        for (const other of workers) {
          const reads = other.index !== index && other.call.begin <= call.times[i] && (other.call.end ?? last) >= call.times[i];
          if (reads) {
            parts.push(dom.svg("line", { x1: x(call.times[i]), x2: x(call.times[i]) + 3, y1: y(index), y2: y(other.index),
                                         class: "reads", "data-strand": String(index % 8) }));
          }
        }
      }
    }
    const words = workers.length > 1 ? `${workers.length} strands that read each other's words as they come`
      : `${dom.plural(calls.length, "strand")} over ${last.toFixed(1)} seconds`;
    return dom.svg("svg", { class: "thought", viewBox: `0 0 ${WIDTH} ${Math.max(ROW, ROW * calls.length)}`, role: "img",
                            "aria-label": words }, ...parts);
  }

  // ---- the columns

  function column(index) {
    const title = dom.make("h3");
    const text = dom.make("div", { class: "strand-text" });
    const element = dom.make("section", { class: "strand", "data-strand": String(index % 8) }, title, text);
    const update = (call) => {
      const tokens = call.end === null ? "…" : call.failed ? "failed" : dom.plural(call.tokens, "token");
      dom.set(title, { textContent: `${call.label} · ${tokens}` });
      dom.set(text, { textContent: call.failed ?? call.text });
    };
    return { element, update };
  }

  /** {element, update()} of an answer's thought. */
  function view(node) {
    const pictures = dom.make("div");
    const columns = dom.make("div", { class: "thought-columns", tabindex: "0", role: "group", "aria-label": "What the strands wrote" });
    const summary = dom.make("summary");
    const element = dom.make("details", { class: "thinking", open: true }, summary, pictures, columns);
    const made = new Map();
    const update = () => {
      const calls = shown(node.thought);
      dom.set(summary, { textContent: figures(node.thought) });
      pictures.replaceChildren(picture(calls));
      calls.forEach((call, index) => {
        if (!made.has(call.id)) {
          made.set(call.id, column(index));
          columns.append(made.get(call.id).element);
        }
        made.get(call.id).update(call);
      });
      for (const [id, part] of made) dom.set(part.element, { hidden: !calls.some((call) => call.id === id) });
    };
    return { element, update };
  }

  return { COUNTS, asked, begin, take, view };
})();
