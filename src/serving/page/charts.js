// SPDX-License-Identifier: Apache-2.0
// Pictures of numbers: lines over time, and bars of parts. Each says in words, too, what it shows.
"use strict";

const charts = (() => {
  const SECONDS = 120;  // that lines go back
  const WIDTH = 240;
  const HEIGHT = 64;
  const BAR_HEIGHT = 10;

  /** The next of 1, 2, 5, 10, … that is not below: scales change seldom then. */
  function roundUp(value) {
    if (!(value > 0)) return 1;
    const unit = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((step) => step * unit).find((top) => top >= value * 0.999);
  }

  const picture = (kind, height, ...parts) => dom.svg("svg",
    { class: kind, viewBox: `0 0 ${WIDTH} ${height}`, role: "img", preserveAspectRatio: "none" }, ...parts);

  /** A path through [seconds, value] points; where a value is null it begins anew. */
  function pathOf(points, now, top) {
    let pen = "M";
    return points.map(([at, value]) => {
      const command = pen;
      pen = value === null ? "M" : "L";
      if (value === null) return "";
      const x = WIDTH * (1 - (now - at) / SECONDS);
      return `${command}${x.toFixed(1)} ${(HEIGHT - 2 - value / top * (HEIGHT - 4)).toFixed(1)}`;
    }).join("");
  }

  /** Lines with a name and a present value each. update(now, series) takes [[seconds, value], …] for each of them. */
  function lines(title, names, show) {
    const paths = names.map((_, i) => dom.svg("path", { class: `line line-${i}` }));
    const svg = picture("lines", HEIGHT, ...paths);
    const scale = dom.make("span", { class: "scale", "aria-hidden": "true" });
    const figures = names.map(() => dom.make("b", {}, "–"));
    const legend = dom.make("p", { class: "legend" }, ...names.map((name, i) => dom.make("span", {},
      dom.make("span", { class: `key key-${i}`, "aria-hidden": "true" }), `${name} `, figures[i])));
    const element = dom.make("section", { class: "chart" }, dom.make("h3", {}, title), legend,
      dom.make("div", { class: "plot" }, scale, svg));
    const update = (now, series) => {
      const seen = series.map((points) => points.filter(([at]) => now - at <= SECONDS));
      const top = roundUp(Math.max(0, ...seen.flat().map(([, value]) => value ?? 0)));
      seen.forEach((points, i) => {
        paths[i].setAttribute("d", pathOf(points, now, top));
        const last = points.at(-1)?.[1] ?? null;
        figures[i].textContent = last === null ? "–" : show(last);
      });
      scale.textContent = show(top);
      svg.setAttribute("aria-label", `${title}, two minutes, up to ${show(top)}: ` +
        names.map((name, i) => `${name} ${figures[i].textContent}`).join(", "));
    };
    return { element, update };
  }

  /** One bar of parts. update(values, whole, words): `whole` is what fills the width, `words` what it says. */
  function bar(kinds) {
    const boxes = kinds.map((kind) => dom.svg("rect", { class: `part-${kind}`, y: 0, height: BAR_HEIGHT }));
    const svg = picture("bar", BAR_HEIGHT, ...boxes);
    const update = (values, whole, words) => {
      let begin = 0;
      values.forEach((value, i) => {
        const width = WIDTH * value / Math.max(whole, 1);
        boxes[i].setAttribute("x", begin.toFixed(2));
        boxes[i].setAttribute("width", width.toFixed(2));
        begin += width;
      });
      svg.setAttribute("aria-label", words);
    };
    return { element: svg, update };
  }

  /** Which colour is what. */
  function legend(kinds) {
    const figures = kinds.map(() => dom.make("b", {}, ""));
    const element = dom.make("p", { class: "legend" }, ...kinds.map((kind, i) => dom.make("span", {},
      dom.make("span", { class: `box part-${kind}`, "aria-hidden": "true" }), `${kind} `, figures[i])));
    return { element, figures };
  }

  return { SECONDS, lines, bar, legend, roundUp };
})();
