// SPDX-License-Identifier: Apache-2.0
// The batch as a table: each generation, what it does or waits for, and the pages it stands on.
"use strict";

const batch = (() => {
  const ROWS_MAX = 24;
  const PAGES = ["shared", "own", "swapped"];

  const WORDS = {
    idle: "kept for later",
    decode: "writes",
    prompt: "reads its prompt",
    waits_row: "waits for a place",
    waits_pages: "waits for free pages",
    waits_swap: "waits for its swapped pages",
  };

  /** What a sequence does or waits for. */
  function doing(row) {
    if (row.state === "waits_prompt") return `waits for #${row.behind} to read their common prompt`;
    return WORDS[row.state] ?? row.state;
  }

  function progress(row) {
    const words = row.computed < row.tokens - 1 ? [`${row.computed} of ${row.tokens} tokens read`] : [];
    if (row.generated > 0) words.push(dom.plural(row.generated, "token"));
    if (row.preemptions > 0) words.push(`gave way ${row.preemptions} ×`);
    return words.join(", ");
  }

  /** Pages of a row in the order of PAGES. */
  const pagesOf = ({ pages }) => [pages.shared, pages.own, pages.away];

  function pageWords(row) {
    const words = PAGES.map((kind, i) => [pagesOf(row)[i], kind]).filter(([count]) => count > 0);
    return words.map(([count, kind]) => `${count} ${kind}`).join(" + ") || "none";
  }

  function tableRow(row, pagesMost) {
    const bar = charts.bar(PAGES);
    bar.update(pagesOf(row), pagesMost, pageWords(row));
    bar.element.setAttribute("aria-hidden", "true");  // the words beside it say the same
    const origin = row.parent === null ? "" : ` from #${row.parent}`;
    return dom.make("tr", { class: row.state.startsWith("waits") ? "waits" : row.state },
      dom.make("th", { scope: "row" }, `#${row.id}${origin}`, dom.make("small", {}, row.client || "(no name)")),
      dom.make("td", {}, doing(row), dom.make("small", {}, progress(row))),
      dom.make("td", {}, bar.element, dom.make("small", {}, pageWords(row))));
  }

  function view() {
    const words = dom.make("p", { class: "hint" });
    const body = dom.make("tbody", {});
    const more = dom.make("p", { class: "hint" });
    const head = ["sequence", "does", "pages"].map((word) => dom.make("th", { scope: "col" }, word));
    const table = dom.make("table", {}, dom.make("thead", {}, dom.make("tr", {}, ...head)), body);
    const element = dom.make("section", { class: "chart", id: "batch" }, dom.make("h3", {}, "Batch: who waits for what"),
      words, table, more);

    /** `models` as the status has them. */
    const update = (models) => {
      const rows = models.flatMap((model) => model.listed);
      const shown = rows.slice(0, ROWS_MAX);
      const most = Math.max(1, ...rows.map((row) => pagesOf(row).reduce((sum, count) => sum + count, 0)));
      const sum = (of) => models.reduce((all, model) => all + model[of], 0);
      // A model's places, and those beyond them that only clients get of which nothing runs.
      const taken = models.reduce((all, model) => all + Math.min(model.running, model.rows_max), 0);
      const beyond = sum("running") - taken;
      words.textContent = `${taken} of ${dom.plural(sum("rows_max"), "place")} taken, ` +
        `${beyond > 0 ? `${beyond} more by newcomers, ` : ""}${sum("waiting")} waiting`;
      table.hidden = rows.length === 0;
      const all = sum("sequences");
      more.textContent = all > shown.length ? `… and ${all - shown.length} more` : "";
      body.replaceChildren(...models.flatMap((model) => {
        const its = shown.filter((row) => model.listed.includes(row));
        if (its.length === 0) return [];
        const name = dom.make("tr", { class: "model" }, dom.make("th", { colspan: "3", scope: "rowgroup" }, model.name));
        return [...(models.length > 1 ? [name] : []), ...its.map((row) => tableRow(row, most))];
      }));
    };
    return { element, update };
  }

  return { view, doing };
})();
