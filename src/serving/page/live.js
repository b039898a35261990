// SPDX-License-Identifier: Apache-2.0
// The live view: /v1/plait/status once a second while it is open, and /metrics every few seconds for the latencies.
"use strict";

const live = (() => {
  const PERIOD_MS = 1000;
  const METRICS_EVERY = 5;   // looks: a key has so many requests a minute
  const SHARE_SECONDS = 10;  // clients' shares are of this long
  const CLIENTS = 8;
  const KINDS = ["own", "shared", "cached", "free"];  // of pages; together they are all

  let samples = [];   // {at, running, waiting, decoded, prompted, pages, away, kinds, clients}, the last two minutes
  let latencies = [];  // {at, first: [median, p95], gap: the same}, in seconds
  let buckets = null;  // of the histograms, as of the last look at them
  let looks = 0;
  let timer = 0;
  let open = false;
  let parts = null;

  // ---- /metrics

  /** The histograms of Prometheus' text, models together: name -> [[bound, count], …]. */
  function parse(text) {
    const found = new Map();
    for (const [, name, labels, count] of text.matchAll(/^([a-z_]+)_bucket\{(.*)\} (\S+)$/gm)) {
      const bound = /(?:^|,)le="([^"]*)"/.exec(labels)?.[1];
      const upTo = bound === "+Inf" ? Infinity : Number(bound);
      if (!found.has(name)) found.set(name, []);
      const same = found.get(name).find((bucket) => bucket[0] === upTo);
      if (same) same[1] += Number(count);
      else found.get(name).push([upTo, Number(count)]);
    }
    return found;
  }

  /** Below which value the part `rank` of what was observed between two looks lies, by linear interpolation in its
      bucket; null if nothing was. */
  function quantile(now, then, rank) {
    const counts = now.map(([bound, count], i) => [bound, count - (then[i]?.[1] ?? 0)]);
    const all = counts.at(-1)?.[1] ?? 0;
    if (all <= 0) return null;
    const wanted = all * rank;
    let below = [0, 0];
    for (const [bound, count] of counts) {
      if (count >= wanted) {
        if (bound === Infinity) return below[0];
        return below[0] + (bound - below[0]) * (wanted - below[1]) / Math.max(count - below[1], 1);
      }
      below = [bound, count];
    }
    return null;
  }

  function noteLatencies(at, now) {
    const both = (name) => {
      const bounds = now.get(name) ?? [];
      return [0.5, 0.95].map((rank) => quantile(bounds, buckets.get(name) ?? [], rank));
    };
    if (buckets) {
      latencies.push({ at, first: both("plait_time_to_first_token_seconds"),
                       gap: both("plait_time_per_output_token_seconds") });
    }
    buckets = now;
  }

  // ---- /v1/plait/status

  function sampleOf({ seconds, models }) {
    const sum = (of) => models.reduce((all, model) => all + of(model), 0);
    return {
      at: seconds,
      running: sum((model) => model.running),
      waiting: sum((model) => model.waiting),
      decoded: sum((model) => model.decode_rows),
      prompted: sum((model) => model.prompt_rows),
      pages: sum((model) => model.pages.all),
      away: sum((model) => model.pages.away),
      kinds: KINDS.map((kind) => sum((model) => model.pages[kind])),
      clients: clientsOf(models),
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

  /** {name, running, waiting, rate: tokens per second, share: of all tokens} of the last seconds, who had most first. */
  function shares() {
    const now = samples.at(-1);
    const then = samples.find((sample) => now.at - sample.at <= SHARE_SECONDS);
    const seconds = now.at - then.at;
    const rows = [...now.clients].map(([name, client]) =>
      ({ name, ...client, had: Math.max(client.service - (then.clients.get(name)?.service ?? 0), 0) }));
    const all = rows.reduce((sum, row) => sum + row.had, 0);
    const busy = (row) => row.running + row.waiting;
    rows.sort((a, b) => b.had - a.had || busy(b) - busy(a) || a.name.localeCompare(b.name));
    return rows.map((row) => ({ ...row, rate: seconds > 0 ? row.had / seconds : 0, share: all > 0 ? row.had / all : 0 }));
  }

  /** Per second between each two samples. */
  const rates = (name) => samples.slice(1).map((sample, i) =>
    [sample.at, (sample[name] - samples[i][name]) / (sample.at - samples[i].at)]);

  // ---- elements

  const whole = (value) => String(Math.round(value));
  const duration = (seconds) => (seconds >= 1 ? `${+seconds.toFixed(1)} s` : `${+(seconds * 1000).toPrecision(3)} ms`);

  function pageUse() {
    const bar = charts.bar(KINDS);
    const legend = charts.legend([...KINDS, "swapped"]);
    const element = dom.make("section", { class: "chart", id: "kv-pages" },
      dom.make("h3", {}, "Pages of keys and values"), bar.element, legend.element);
    const update = ({ kinds, pages, away }) => {
      const words = KINDS.map((kind, i) => `${kinds[i]} ${kind}`);
      bar.update(kinds, pages, `${dom.plural(pages, "page")}: ${words.join(", ")}; ${away} swapped`);
      [...kinds, away].forEach((count, i) => { legend.figures[i].textContent = String(count); });
    };
    return { element, update };
  }

  function clientTable() {
    const body = dom.make("tbody", {});
    const head = ["client", "share", "", "tokens/s", "running", "waiting"].map((word) =>
      (word ? dom.make("th", { scope: "col" }, word) : dom.make("td", {})));
    const table = dom.make("table", {}, dom.make("thead", {}, dom.make("tr", {}, ...head)), body);
    const element = dom.make("section", { class: "chart", id: "clients" }, dom.make("h3", {}, "Clients, last ten seconds"), table);
    const update = (rows) => {
      table.hidden = rows.length === 0;
      body.replaceChildren(...rows.slice(0, CLIENTS).map((row) => {
        const bar = charts.bar(["own"]);
        const percent = `${Math.round(100 * row.share)} %`;
        bar.update([row.share], 1, percent);
        bar.element.setAttribute("aria-hidden", "true");
        return dom.make("tr", {}, dom.make("th", { scope: "row", title: row.name }, row.name || "(no name)"),
          ...[percent, bar.element, whole(row.rate), row.running, row.waiting].map((cell) => dom.make("td", {}, cell)));
      }));
    };
    return { element, update };
  }

  function build() {
    const lines = {
      speed: charts.lines("Tokens per second", ["answers", "prompts"], whole),
      rows: charts.lines("Generations", ["running", "waiting"], whole),
      first: charts.lines("To the first token", ["median", "95 %"], duration),
      gap: charts.lines("From token to token", ["median", "95 %"], duration),
    };
    const tables = { pages: pageUse(), clients: clientTable(), batch: batch.view() };  // the one that grows comes last
    const elements = (made) => Object.values(made).map((part) => part.element);
    dom.byId("live-figures").replaceChildren(dom.make("div", { class: "charts" }, ...elements(lines)), ...elements(tables));
    return { ...lines, ...tables };
  }

  function show(models) {
    parts ??= build();
    const last = samples.at(-1);
    const points = (name) => samples.map((sample) => [sample.at, sample[name]]);
    const ranks = (name) => [0, 1].map((rank) => latencies.map((look) => [look.at, look[name][rank]]));
    parts.batch.update(models);
    parts.pages.update(last);
    parts.clients.update(shares());
    parts.speed.update(last.at, [rates("decoded"), rates("prompted")]);
    parts.rows.update(last.at, [points("running"), points("waiting")]);
    parts.first.update(last.at, ranks("first"));
    parts.gap.update(last.at, ranks("gap"));
  }

  function forget() {
    samples = [];
    latencies = [];
    buckets = null;
    looks = 0;
  }

  async function look() {
    clearTimeout(timer);
    timer = 0;
    if (!open) return;
    if (server.state.there && !document.hidden) {
      try {
        const status = await server.json("/v1/plait/status");
        const sample = sampleOf(status);
        const before = samples.at(-1);
        if (sample.at < (before?.at ?? 0)) forget();  // another server than before
        if (sample.at !== before?.at) samples.push(sample);  // the server gives out one for some moments
        if (looks++ % METRICS_EVERY === 0) noteLatencies(sample.at, parse(await server.text("/metrics")));
        samples = samples.filter(({ at }) => sample.at - at <= charts.SECONDS);
        latencies = latencies.filter(({ at }) => sample.at - at <= charts.SECONDS);
        if (open) show(status.models);
      } catch { /* the banner says what is wrong */ }
    }
    if (open && !timer) timer = setTimeout(look, PERIOD_MS);
  }

  /** Opens or closes it. What was seen before is kept: the lines have a gap then. */
  function toggle(wanted) {
    open = wanted;
    look();
  }

  return { toggle, parse, quantile };
})();
