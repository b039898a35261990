// SPDX-License-Identifier: Apache-2.0
// The live view: /metrics once a second while it is open, with charts of the last two minutes.
"use strict";

const live = (() => {
  const PERIOD_MS = 1000;
  const SAMPLES = 120;
  const WIDTH = 240;
  const HEIGHT = 48;

  let samples = [];  // {at, rows, waiting, used, pages, decoded, prompted, first, whole}
  let timer = 0;
  let open = false;
  let parts = null;

  /** The Prometheus text as name -> value, buckets as name -> [[bound, count], …]. */
  function parse(text) {
    const values = new Map();
    const buckets = new Map();
    for (const line of text.split("\n")) {
      if (!line || line[0] === "#") continue;
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
      if (!match) continue;
      const [, name, labels, value] = match;
      const bound = /(?:^|,)le="([^"]*)"/.exec(labels ?? "")?.[1];
      if (bound !== undefined) {
        const upTo = bound === "+Inf" ? Infinity : Number(bound);
        const same = (buckets.get(name) ?? []).find((bucket) => bucket[0] === upTo);  // of another model
        if (!buckets.has(name)) buckets.set(name, []);
        if (same) same[1] += Number(value);
        else buckets.get(name).push([upTo, Number(value)]);
      } else {
        values.set(name, (values.get(name) ?? 0) + Number(value));
      }
    }
    return { values, buckets };
  }

  function sampleOf({ values, buckets }) {
    const value = (name) => values.get(name) ?? 0;
    const pages = value("plait_kv_pages");
    return {
      at: performance.now() / 1000,
      rows: value("plait_sequences_running"),
      waiting: value("plait_sequences_waiting"),
      pages,
      used: pages - value("plait_kv_pages_free"),
      decoded: value("plait_decode_rows_total"),
      prompted: value("plait_prompt_rows_total"),
      first: buckets.get("plait_time_to_first_token_seconds_bucket") ?? [],
      gap: buckets.get("plait_time_per_output_token_seconds_bucket") ?? [],
    };
  }

  /** Per second between each two samples; a counter that falls is a server that began anew. */
  function rates(name) {
    return samples.slice(1).map((sample, i) => {
      const seconds = sample.at - samples[i].at;
      return seconds > 0 ? Math.max(sample[name] - samples[i][name], 0) / seconds : 0;
    });
  }

  /** The median of what was observed within the window, by linear interpolation in its bucket; null if nothing was. */
  function median(name) {
    const now = samples.at(-1)[name];
    const then = samples[0][name];
    const counts = now.map(([bound, count], i) => [bound, count - (then[i]?.[1] ?? 0)]);
    const all = counts.at(-1)?.[1] ?? 0;
    if (all <= 0) return null;
    let below = [0, 0];
    for (const [bound, count] of counts) {
      if (count >= all / 2) {
        if (bound === Infinity) return below[0];
        return below[0] + (bound - below[0]) * (all / 2 - below[1]) / Math.max(count - below[1], 1);
      }
      below = [bound, count];
    }
    return null;
  }

  // ---- elements

  function chart(title, names) {
    const lines = names.map((name, i) => dom.svg("polyline", { class: `line line-${i}` }));
    const picture = dom.svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" }, ...lines);
    const figures = names.map((name) => dom.make("b", {}, "–"));
    const legend = dom.make("p", { class: "legend" }, ...names.flatMap((name, i) => [
      dom.make("span", { class: `key key-${i}`, "aria-hidden": "true" }), `${name} `, figures[i]]));
    const element = dom.make("section", { class: "chart" }, dom.make("h3", {}, title), legend, picture);
    const update = (series, show) => {
      const top = Math.max(1, ...series.flat());
      series.forEach((values, i) => {
        const step = WIDTH / (SAMPLES - 1);
        const begin = WIDTH - (values.length - 1) * step;
        lines[i].setAttribute("points", values.map((value, at) =>
          `${(begin + at * step).toFixed(1)},${(HEIGHT - 2 - value / top * (HEIGHT - 4)).toFixed(1)}`).join(" "));
        figures[i].textContent = show(values.at(-1) ?? 0);
      });
      picture.setAttribute("aria-label", `${title}: at most ${show(top)} in the last two minutes`);
    };
    return { element, update };
  }

  function build() {
    const speed = chart("Tokens per second", ["generated", "prompts"]);
    const rows = chart("Generations", ["running", "waiting"]);
    const meter = dom.make("meter", { id: "kv-meter", min: "0", max: "1", value: "0" });
    const pages = dom.make("b", {}, "–");
    const kv = dom.make("section", { class: "chart" },
      dom.make("h3", {}, dom.make("label", { for: "kv-meter" }, "Pages of keys and values")),
      dom.make("p", { class: "legend" }, "used ", pages), meter);
    const used = chart("Pages used", ["pages"]);
    const first = dom.make("dd", {}, "–");
    const gap = dom.make("dd", {}, "–");
    const latency = dom.make("section", { class: "chart" }, dom.make("h3", {}, "Latency, median of two minutes"),
      dom.make("dl", { class: "figures" }, dom.make("dt", {}, "first token"), first, dom.make("dt", {}, "next token"), gap));
    dom.byId("live-figures").replaceChildren(speed.element, rows.element, kv, used.element, latency);
    return { speed, rows, meter, pages, used, first, gap };
  }

  const whole = (value) => String(Math.round(value));
  const milliseconds = (seconds) => (seconds === null ? "–" : `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`);

  function show() {
    parts ??= build();
    const last = samples.at(-1);
    parts.speed.update([rates("decoded"), rates("prompted")], whole);
    parts.rows.update([samples.map((sample) => sample.rows), samples.map((sample) => sample.waiting)], whole);
    parts.used.update([samples.map((sample) => sample.used)], whole);
    parts.meter.max = Math.max(last.pages, 1);
    parts.meter.value = last.used;
    parts.pages.textContent = `${last.used} of ${last.pages}`;
    parts.first.textContent = milliseconds(median("first"));
    parts.gap.textContent = milliseconds(median("gap"));
  }

  async function look() {
    clearTimeout(timer);
    timer = 0;
    if (!open) return;
    if (server.state.there && !document.hidden) {
      try {
        samples.push(sampleOf(parse(await server.text("/metrics"))));
        samples = samples.slice(-SAMPLES);
        show();
      } catch { /* the banner says what is wrong */ }
    }
    if (open && !timer) timer = setTimeout(look, PERIOD_MS);
  }

  function toggle(wanted) {
    open = wanted;
    if (open) samples = [];
    look();
  }

  return { toggle, parse };
})();
