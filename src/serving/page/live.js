// SPDX-License-Identifier: Apache-2.0
// The live view: /v1/plait/status once a second while it is open, and /metrics every few seconds for the latencies,
// with charts of the last two minutes.
"use strict";

const live = (() => {
  const PERIOD_MS = 1000;
  const SAMPLES = 120;
  const METRICS_EVERY = 5;   // looks: a key has so many requests a minute
  const SHARE_SAMPLES = 10;  // clients' shares are of this long
  const CLIENTS = 8;
  const WIDTH = 240;
  const HEIGHT = 48;

  let samples = [];  // {at, rows, waiting, used, pages, decoded, prompted, kinds, clients}
  let observed = [];  // {at, first, gap}: buckets of histograms
  let looks = 0;
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

  const KINDS = ["own", "shared", "cached", "free"];  // of pages; together they are all

  function sampleOf(status) {
    const sum = (of) => status.models.reduce((all, model) => all + of(model), 0);
    const pages = sum((model) => model.pages.all);
    return {
      at: status.seconds,
      rows: sum((model) => model.running),
      waiting: sum((model) => model.waiting),
      pages,
      used: pages - sum((model) => model.pages.free),
      away: sum((model) => model.pages.away),
      kinds: KINDS.map((kind) => sum((model) => model.pages[kind])),
      decoded: sum((model) => model.decode_rows),
      prompted: sum((model) => model.prompt_rows),
      clients: clientsOf(status.models),
    };
  }

  /** Name -> {service, running, waiting}, over all models. */
  function clientsOf(models) {
    const clients = new Map();
    for (const client of models.flatMap((model) => model.clients)) {
      const all = clients.get(client.name) ?? { service: 0, running: 0, waiting: 0 };
      for (const part of Object.keys(all)) all[part] += client[part];
      clients.set(client.name, all);
    }
    return clients;
  }

  function observedOf({ buckets }) {
    return {
      at: performance.now() / 1000,
      first: buckets.get("plait_time_to_first_token_seconds_bucket") ?? [],
      gap: buckets.get("plait_time_per_output_token_seconds_bucket") ?? [],
    };
  }

  /** [name, client, tokens per second, share of all tokens] of the last seconds, who had most first. */
  function shares() {
    const now = samples.at(-1);
    const then = samples.at(-Math.min(SHARE_SAMPLES, samples.length));
    const seconds = now.at - then.at;
    const rows = [...now.clients].map(([name, client]) =>
      [name, client, Math.max(client.service - (then.clients.get(name)?.service ?? 0), 0)]);
    const all = rows.reduce((sum, row) => sum + row[2], 0);
    const busy = (client) => client.running + client.waiting;
    rows.sort((a, b) => b[2] - a[2] || busy(b[1]) - busy(a[1]) || a[0].localeCompare(b[0]));
    return rows.map(([name, client, had]) => [name, client, seconds > 0 ? had / seconds : 0, all > 0 ? had / all : 0]);
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
    if (observed.length === 0) return null;
    const now = observed.at(-1)[name];
    const then = observed[0][name];
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
    const kv = pageBar();
    const used = chart("Pages used", ["pages"]);
    const first = dom.make("dd", {}, "–");
    const gap = dom.make("dd", {}, "–");
    const latency = dom.make("section", { class: "chart" }, dom.make("h3", {}, "Latency, median of two minutes"),
      dom.make("dl", { class: "figures" }, dom.make("dt", {}, "first token"), first, dom.make("dt", {}, "next token"), gap));
    const clients = clientTable();
    dom.byId("live-figures").replaceChildren(speed.element, rows.element, kv.element, used.element, clients.element, latency);
    return { speed, rows, kv, used, clients, first, gap };
  }

  /** All pages as one bar, by who has them. */
  function pageBar() {
    const boxes = KINDS.map((kind, i) => dom.svg("rect", { class: `pages-${kind}`, y: 0, height: HEIGHT, x: i, width: 0 }));
    const picture = dom.svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" }, ...boxes);
    const figures = KINDS.map(() => dom.make("b", {}, "–"));
    const away = dom.make("b", {}, "–");
    const legend = dom.make("p", { class: "legend" }, ...KINDS.flatMap((kind, i) => [
      dom.make("span", { class: `box pages-${kind}`, "aria-hidden": "true" }), `${kind} `, figures[i]]), "swapped ", away);
    const element = dom.make("section", { class: "chart bar", id: "kv-pages" },
      dom.make("h3", {}, "Pages of keys and values"), legend, picture);
    const update = (sample) => {
      let begin = 0;
      sample.kinds.forEach((count, i) => {
        const width = WIDTH * count / Math.max(sample.pages, 1);
        boxes[i].setAttribute("x", begin.toFixed(2));
        boxes[i].setAttribute("width", width.toFixed(2));
        figures[i].textContent = String(count);
        begin += width;
      });
      away.textContent = String(sample.away);
      picture.setAttribute("aria-label", `${sample.used} of ${sample.pages} pages are in use: ` +
        KINDS.map((kind, i) => `${sample.kinds[i]} ${kind}`).join(", "));
    };
    return { element, update };
  }

  function clientTable() {
    const body = dom.make("tbody", {});
    const head = ["client", "share", "tokens/s", "running", "waiting"].map((word) => dom.make("th", { scope: "col" }, word));
    const element = dom.make("section", { class: "chart", id: "clients" }, dom.make("h3", {}, "Clients, last ten seconds"),
      dom.make("table", {}, dom.make("thead", {}, dom.make("tr", {}, ...head)), body));
    const update = (rows) => {
      body.replaceChildren(...rows.slice(0, CLIENTS).map(([name, client, rate, share]) => dom.make("tr", {},
        dom.make("th", { scope: "row", title: name }, name || "(no name)"),
        ...[`${Math.round(100 * share)} %`, whole(rate), String(client.running), String(client.waiting)].map((text) =>
          dom.make("td", {}, text)))));
    };
    return { element, update };
  }

  const whole = (value) => String(Math.round(value));
  const milliseconds = (seconds) => (seconds === null ? "–" : `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`);

  function show() {
    parts ??= build();
    const last = samples.at(-1);
    parts.speed.update([rates("decoded"), rates("prompted")], whole);
    parts.rows.update([samples.map((sample) => sample.rows), samples.map((sample) => sample.waiting)], whole);
    parts.used.update([samples.map((sample) => sample.used)], whole);
    parts.kv.update(last);
    parts.clients.update(shares());
    parts.first.textContent = milliseconds(median("first"));
    parts.gap.textContent = milliseconds(median("gap"));
  }

  async function look() {
    clearTimeout(timer);
    timer = 0;
    if (!open) return;
    if (server.state.there && !document.hidden) {
      try {
        if (looks % METRICS_EVERY === 0) observed.push(observedOf(parse(await server.text("/metrics"))));
        observed = observed.slice(-SAMPLES / METRICS_EVERY);
        looks += 1;
        const sample = sampleOf(await server.json("/v1/plait/status"));
        if (sample.at < (samples.at(-1)?.at ?? 0)) samples = [];  // another server than before
        samples = [...samples, sample].slice(-SAMPLES);
        show();
      } catch { /* the banner says what is wrong */ }
    }
    if (open && !timer) timer = setTimeout(look, PERIOD_MS);
  }

  function toggle(wanted) {
    open = wanted;
    if (open) {
      samples = [];
      observed = [];
      looks = 0;
    }
    look();
  }

  return { toggle, parse };
})();
