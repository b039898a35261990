#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page's live view in headless Chromium: the batch, pages, clients and charts of a real `plait serve` under load.

Needs what page_test.py needs. Run it as a program, with Debian's Python; ./test runs it as well.
"""
import json
import pathlib
import sys
import threading
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from page_case import PageCase  # noqa: E402  (first: it knows where the tools are)

LONG = "Tell me a long story about a river that wants to be a mountain, and about all the animals that it meets. "

# One sequence in each state. The first three share pages; #17 is swapped out.
SEQUENCES = [
    {"id": 11, "state": "decode", "generated": 5, "pages": {"own": 2, "shared": 4, "away": 0}},
    {"id": 12, "state": "decode", "parent": 11, "generated": 1, "pages": {"own": 1, "shared": 4, "away": 0}},
    {"id": 13, "state": "prompt", "tokens": 300, "computed": 128, "pages": {"own": 4, "shared": 4, "away": 0}},
    {"id": 14, "state": "waits_prompt", "behind": 13},
    {"id": 15, "state": "waits_row"},
    {"id": 16, "state": "waits_pages"},
    {"id": 17, "state": "waits_swap", "preemptions": 1, "pages": {"own": 3, "shared": 0, "away": 6}},
    {"id": 18, "state": "idle", "client": ""},
]
DEFAULTS = {"client": "alice", "behind": None, "parent": None, "tokens": 20, "computed": 19, "generated": 0,
            "preemptions": 0, "seconds": 1.5, "pages": {"own": 0, "shared": 0, "away": 0}}


def model(name: str, sequences: list[dict]) -> dict:
    return {"name": name, "rows_max": 4, "rows_newcomers": 1, "running": 3, "waiting": 4, "sequences": len(sequences),
            "listed": [DEFAULTS | sequence for sequence in sequences]}


class ViewTest(PageCase):
    """The parts of the view with made-up numbers."""

    def draw(self, models: list[dict]) -> list[str]:
        """The table's rows as text."""
        self.press("#show-live")
        self.until(lambda: self.all("#batch"), "the live view")
        self.press("#show-live")
        self.driver.execute_script("""
            const view = batch.view();
            document.getElementById("live").hidden = false;
            document.getElementById("batch").replaceWith(view.element);
            view.update(arguments[0]);""", models)
        return [row.text.replace("\n", " ") for row in self.all("#batch tbody tr")]

    def test_each_sequence_says_what_it_waits_for(self):
        rows = self.draw([model("one", SEQUENCES)])
        for row, words in zip(rows, (
                "#11 alice writes 5 tokens 4 shared + 2 own", "#12 from #11 alice writes 1 token 4 shared + 1 own",
                "#13 alice reads its prompt 128 of 300 tokens read 4 shared + 4 own",
                "#14 alice waits for #13 to read their common prompt none", "#15 alice waits for a place none",
                "#16 alice waits for free pages none",
                "#17 alice waits for its swapped pages gave way 1 × 3 own + 6 swapped",
                "#18 (no name) kept for later none"), strict=True):
            self.assertEqual(row, words)
        self.assertIn("3 of 4 places taken, 4 waiting", self.find("#batch").text)
        self.draw([model("one", SEQUENCES) | {"running": 5}])
        self.assertIn("4 of 4 places taken, 1 more by newcomers, 4 waiting", self.find("#batch").text)
        widths = self.driver.execute_script("""
            return [...document.querySelectorAll("#batch tbody tr")].map((row) =>
              [...row.querySelectorAll("rect")].map((part) => Number(part.getAttribute("width"))))""")
        self.assertEqual(widths[6], [0, 80, 160])  # of 240: nine pages are the most that one has
        self.assertEqual(widths[0], [round(240 * 4 / 9, 2), round(240 * 2 / 9, 2), 0])

    def test_models_are_told_apart_and_long_lists_cut(self):
        many = [SEQUENCES[0] | {"id": i} for i in range(40)]
        rows = self.draw([model("one", SEQUENCES[:2]), model("two", many)])
        self.assertEqual(rows[0], "one")
        self.assertEqual(rows[3], "two")
        self.assertEqual(len(rows), 24 + 2)
        self.assertIn("… and 18 more", self.find("#batch").text)

    def test_quantiles_of_histograms(self):
        text = "\n".join(f'plait_x_seconds_bucket{{model="{name}",le="{bound}"}} {count}' for name in "ab"
                         for bound, count in (("0.1", 10), ("0.2", 20), ("+Inf", 20)))
        found = self.driver.execute_script("""
            const now = live.parse(arguments[0]).get("plait_x_seconds");
            return [now.map((bucket) => bucket[1]), live.quantile(now, [], 0.5), live.quantile(now, [], 0.75),
                    live.quantile(now, now, 0.5)]""", text)
        self.assertEqual(found[0], [20, 40, 40])  # of both models
        self.assertAlmostEqual(found[1], 0.1)
        self.assertAlmostEqual(found[2], 0.15)
        self.assertIsNone(found[3])  # nothing was observed between two looks that saw the same

    def test_lines_have_gaps_and_round_scales(self):
        path, scale, words = self.driver.execute_script("""
            const chart = charts.lines("Speed", ["a", "b"], String);
            chart.update(100, [[[40, 0], [70, null], [100, 30]], [[100, 7]]]);
            return [chart.element.querySelector(".line-0").getAttribute("d"),
                    chart.element.querySelector(".scale").textContent, chart.element.querySelector("svg").ariaLabel]""")
        self.assertEqual(path.count("M"), 2)
        self.assertEqual(scale, "50")
        self.assertEqual(words, "Speed, two minutes, up to 50: a 30, b 7")


class LoadTest(PageCase):
    """A server with few places: who comes later waits."""

    ARGUMENTS = ("--rows", "2")

    def ask(self, client: str) -> None:
        body = {"messages": [{"role": "user", "content": LONG}], "max_tokens": 100, "user": client, "ignore_eos": True}
        request = urllib.request.Request(self.server.address + "/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            reply.read()

    def batch_rows(self) -> list[str]:
        """In one call: the table is drawn anew each second."""
        return self.driver.execute_script("""
            const rows = [...document.querySelectorAll("#batch tbody tr")];
            return rows.map((row) => row.innerText.replace(/\\s+/g, " "))""")

    def test_batch_pages_clients_and_charts(self):
        self.press("#show-live")
        self.settings(4, 4000)
        self.endless()
        self.send(LONG * 3)
        other = threading.Thread(target=self.ask, args=("bob",))
        other.start()
        self.addCleanup(other.join)
        self.until(lambda: sum("writes" in row for row in self.batch_rows()) >= 2, "two that write")
        self.until(lambda: any("waits for a place" in row for row in self.batch_rows()), "one that waits")
        self.until(lambda: any("shared" in row for row in self.batch_rows()), "pages of the common prompt")
        self.until(lambda: "bob" in self.find("#clients").text, "the other client")
        shares = self.driver.execute_script("""
            const cells = [...document.querySelectorAll("#clients tbody tr td:nth-child(2)")];
            return cells.map((cell) => parseInt(cell.textContent))""")
        self.assertAlmostEqual(sum(shares), 100, delta=2)
        pages = self.find("#kv-pages svg").get_attribute("aria-label")
        self.assertRegex(pages, r"^\d+ pages: \d+ own, \d+ shared, \d+ cached, \d+ free; \d+ swapped$")
        labels = lambda: [svg.get_attribute("aria-label") for svg in self.all(".charts svg")]  # noqa: E731
        self.until(lambda: "answers 0" not in labels()[0], "a speed")
        self.assertRegex(labels()[1], r"running [23], waiting [1-9]")
        self.until(lambda: "ms" in labels()[3] and "median –" not in labels()[3], "latencies")
        self.press("#stop-all")
        self.until(lambda: all("127.0.0.1" not in row for row in self.batch_rows()), "the page's own to be gone")


if __name__ == "__main__":
    unittest.main()
