# SPDX-License-Identifier: Apache-2.0
"""The chat page in headless Chromium, in front of a real `plait serve`: safety, speed, accessibility.

Needs Debian's chromium, chromium-driver and python3-selenium, and the default model; else skips. Run it as a program,
with Debian's Python; ./test runs it as well.
"""
import json
import pathlib
import sys
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from page_case import COUNT, PageCase  # noqa: E402  (first: it knows where the tools are)
import page_browser  # noqa: E402

if not page_browser.missing():
    from selenium.webdriver.common.keys import Keys

ACCESS = (HERE / "access.js").read_text(encoding="utf-8")
SCREENS = 40  # that a long chat is scrolled by
PAGE_BYTES_MAX = 100_000  # without compression


class SafetyTest(PageCase):
    def test_text_of_models_is_never_html(self):
        evil = ("<img src=x onerror=\"window.bad=1\"> **<b>x</b>** `<i>`\n\n- <script>window.bad=1</" "script>\n\n"
                "```html\n<u>\n```")
        self.driver.execute_script("const box = document.createElement('div'); box.id = 'box';"
                                   "document.body.append(box); box.append(...markdown.blocks(arguments[0]))", evil)
        self.assertEqual(self.driver.execute_script(COUNT, "#box img, #box b, #box i, #box u, #box script"), 0)
        self.assertEqual(self.driver.execute_script(COUNT, "#box strong"), 1)
        self.assertIsNone(self.driver.execute_script("return window.bad"))

    def test_injected_script_does_not_run(self):
        self.driver.execute_script("const s = document.createElement('script'); s.textContent = 'window.bad = 1';"
                                   "document.body.append(s)")
        self.assertIsNone(self.driver.execute_script("return window.bad"))

    def test_markdown_is_the_same_in_pieces(self):
        text = ("# Title\n\nOne *two* **three _four_** `five`\nline\n\n1. a\n   - b\n   - c\n2. d\n\n"
                "```py\nx = 1\n\ny\n```\nafter 2*3*4 and snake_case_name\n\n~~~\nopen")
        same = self.driver.execute_script("""
            const whole = document.createElement('div'), parts = document.createElement('div');
            const writer = new markdown.Writer(parts);
            for (let i = 0; i <= arguments[0].length; ++i) writer.update(arguments[0].slice(0, i));
            new markdown.Writer(whole).update(arguments[0]);
            return [whole.innerHTML, parts.innerHTML]""", text)
        self.assertEqual(*same)
        self.assertIn("<em>two</em>", same[0])
        self.assertIn("2*3*4", same[0].replace("<em>3</em>", "*3*"))
        self.assertIn("snake_case_name", same[0])

    def test_markdown_takes_linear_time(self):
        """Counted in characters that are searched; other quadratic loops would end with the time of a script."""
        pieces = ("*a ", "**a*", "`", "_", "- ", "`` a ` ", "[", "1. x\n   ", "```\n", "\\")
        fewer_and_fewer = "a" + "".join("`" * count + "a" for count in range(500, 0, -1))
        for text in (fewer_and_fewer, *(piece * 20000 for piece in pieces)):
            with self.subTest(text[-8:]):
                searched, length = self.driver.execute_script("""
                    const text = arguments[0], real = String.prototype.indexOf;
                    let searched = 0;
                    String.prototype.indexOf = function (wanted, from = 0) {
                      const at = real.call(this, wanted, from);
                      searched += (at < 0 ? this.length : at) - from;
                      return at;
                    };
                    new markdown.Writer(document.createElement("div")).update(text);
                    String.prototype.indexOf = real;
                    return [searched, text.length];""", text)
                self.assertLess(searched, 20 * length)

    def test_markdown_of_many_nodes(self):
        count = self.driver.execute_script("""
            const box = document.createElement("div");
            new markdown.Writer(box).update("**a** ".repeat(90000) + "\\n\\n" + "x\\n\\n".repeat(180000));
            return [box.querySelectorAll("strong").length, box.querySelectorAll("p").length];""")
        self.assertEqual(count, [90000, 180001])


class NetworkTest(PageCase):
    def test_the_page_asks_nobody_but_its_server(self):
        """All of Chromium's own network log, from the first load over a chat, an export and the live view."""
        self.driver.get_log("performance")
        self.open_page({})
        self.settings(2, 8)
        self.press("#show-live")
        self.send("![x](https://example.com/x.png) and [y](https://example.com)")
        self.wait_done()
        self.driver.execute_script("dom.byId('turns').append(...markdown.blocks('![x](https://example.com/x.png)'))")
        self.until(lambda: self.all("#clients tbody tr"), "the live view")
        self.press("#export-json")
        asked = [message["params"]["request"]["url"] for entry in self.driver.get_log("performance")
                 if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"]
        self.assertTrue(any(url.endswith("/v1/chat/completions") for url in asked), asked)
        own = (self.server.address + "/", "data:", "blob:")
        self.assertEqual([url for url in asked if not url.startswith(own)], [])

    def test_the_policy_stops_what_would_ask_others(self):
        tried = self.driver.execute_async_script("""
            const done = arguments[0], stopped = [];
            document.addEventListener("securitypolicyviolation", (event) => {
              if (stopped.push(event.effectiveDirective) === 4) done(stopped.sort());
            });
            const image = new Image();
            image.src = "https://example.com/x.png";
            fetch("https://example.com/").catch(() => {});
            document.body.insertAdjacentHTML("beforeend", "<iframe src='https://example.com/'></iframe>" +
              "<link rel='stylesheet' href='https://example.com/x.css'>");
            setTimeout(() => done(stopped), 20000);""")
        self.assertEqual(tried, ["connect-src", "frame-src", "img-src", "style-src-elem"])

    def test_it_is_small(self):
        with urllib.request.urlopen(self.server.address + "/") as reply:
            self.assertLess(len(reply.read()), PAGE_BYTES_MAX)


class SpeedTest(PageCase):
    def work(self, script: str) -> dict[str, float]:
        """Chromium's counts of what it did while the script ran."""
        self.driver.execute_cdp_cmd("Performance.enable", {})

        def now() -> dict[str, float]:
            metrics = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
            return {metric["name"]: metric["value"] for metric in metrics}

        before = now()
        self.driver.execute_async_script(script)
        after = now()
        self.driver.execute_cdp_cmd("Performance.disable", {})
        return {name: value - before.get(name, 0) for name, value in after.items()}

    def test_thousand_messages_stay_smooth(self):
        text = ("Some **bold** words, and `code`.\n\n- one\n- two\n\n```py\nprint(1)\n```\n\n" +
                "A sentence of it. " * 20)
        nodes = [{"id": i + 1, "parent": i, "role": "assistant" if i % 2 else "user", "text": text, "run": 5000 + i,
                  "seed": 1, "choice": 0, "end": "stop"} for i in range(1000)]
        chat = {"version": 1, "next": 9000, "chosen": [[i, i + 1] for i in range(1000)], "nodes": nodes}
        self.open_page({"plait.chat": json.dumps(chat)})
        self.until(lambda: self.driver.execute_script(COUNT, ".turn") == 1000, "all messages")
        work = self.work("""
            const done = arguments[0], log = document.getElementById("log"), top = log.scrollHeight;
            let step = 0;
            const scroll = () => {
              if (step > SCREENS) return done();
              log.scrollTop = top * (1 - step++ / SCREENS);
              requestAnimationFrame(scroll);
            };
            scroll();""".replace("SCREENS", str(SCREENS)))
        print(f"\na screen of 1,000 messages: {1000 * work['TaskDuration'] / SCREENS:.0f} ms", file=sys.stderr)
        self.assertLess(work["LayoutCount"], 3 * SCREENS)  # no layout that the next line makes useless
        self.assertLess(work["LayoutObjects"], 1000 * SCREENS)  # only what is near the screen is laid out
        skipped = self.driver.execute_script("""
            return [...document.querySelectorAll(".turn > *")]
              .filter((one) => !one.checkVisibility({contentVisibilityAuto: true})).length""")
        self.assertGreater(skipped, 900)  # what is far from the screen is not laid out
        self.driver.execute_script("""
            window.touched = new Set();
            const note = ({ target }) =>
              touched.add((target.closest ? target : target.parentElement)?.closest(".turn"));
            new MutationObserver((list) => list.forEach(note)).observe(document.getElementById("turns"),
              { subtree: true, childList: true, attributes: true, characterData: true });""")
        self.settings(2, 40)
        self.send("And now?")
        self.wait_done()
        self.assertEqual(self.driver.execute_script(COUNT, ".turn"), 1002)
        self.assertLess(self.driver.execute_script("return touched.size"), 6)  # a stream changes its own turn only


class AccessTest(PageCase):
    """Accessibility, checked by hand-written rules (access.js)."""

    def setUp(self):
        super().setUp()
        self.settings(2, 12)
        self.send("Name a colour in `code`.")
        self.wait_done()
        self.press("#show-settings")
        self.press("#show-live")
        self.until(lambda: self.all("#live svg"), "charts")

    def check(self, rule: str):
        self.assertEqual(self.driver.execute_script(ACCESS + f"\nreturn {rule}();"), [])

    def test_names_and_structure(self):
        for rule in ("controlsWithoutName", "idsTwice", "structure", "brokenAria", "smallTargets"):
            with self.subTest(rule):
                self.check(rule)
        for dialog in ("help", "fork", "key", "clear"):
            self.driver.execute_script("document.getElementById(arguments[0]).showModal()", dialog)
            self.check("controlsWithoutName")
            self.driver.execute_script("document.getElementById(arguments[0]).close()", dialog)

    def test_contrast_in_both_themes(self):
        for theme in ("light", "dark"):
            with self.subTest(theme):
                self.driver.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
                self.check("lowContrast")
                self.driver.execute_script("document.getElementById('help').showModal()")
                self.check("lowContrast")
                self.driver.execute_script("document.getElementById('help').close()")

    def test_rules_see_what_is_wrong(self):
        self.driver.execute_script("""
            document.documentElement.style.setProperty("--quiet", "#999");
            const bad = document.createElement("button");
            bad.id = "draft";
            bad.tabIndex = 5;
            bad.style.position = 'fixed';
            bad.style.font = '8px sans-serif';
            bad.style.padding = 0;
            document.body.append(bad, document.createElement("h4"));""")
        for rule in ("lowContrast", "controlsWithoutName", "idsTwice", "structure", "brokenAria", "smallTargets"):
            self.assertNotEqual(self.driver.execute_script(ACCESS + f"\nreturn {rule}();"), [], rule)

    def test_theme_of_the_system(self):
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = self.driver.execute_script(ground)
        self.browser.media("dark")
        self.assertNotEqual(self.driver.execute_script(ground), light)
        self.browser.media("light")
        self.assertEqual(self.driver.execute_script(ground), light)

    def test_tab_reaches_everything_in_order_and_leaves_it(self):
        wanted = self.driver.execute_script(ACCESS + "\nreturn markReachable();")
        seen = ACCESS + "\nreturn [document.activeElement.dataset.reach ?? '', focusIsSeen()];"
        for keys, step in ((Keys.TAB, 1), (Keys.SHIFT + Keys.TAB, -1)):
            self.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
            order = []
            for _ in range(wanted + 2):  # once around, the body included
                self.driver.switch_to.active_element.send_keys(keys)
                reached, is_seen = self.driver.execute_script(seen)
                self.assertTrue(is_seen, reached)
                order.append(reached)
            self.assertEqual([name for name in map(str, range(wanted)) if name not in order], [])
            numbers = [int(name) for name in order if name]
            turns = sum((later - earlier) * step <= 0 for earlier, later in zip(numbers, numbers[1:]))
            self.assertLessEqual(turns, 1, order)  # from the last one back to the first; nowhere twice

    def test_dialogs_hold_the_focus_and_give_it_back(self):
        opener = self.find("#show-help")
        opener.send_keys(Keys.ENTER)
        inside = "return document.activeElement === document.body || !!document.activeElement.closest('#help')"
        for _ in range(6):
            self.assertTrue(self.driver.execute_script(inside))
            self.driver.switch_to.active_element.send_keys(Keys.TAB)
        self.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.assertEqual(self.driver.switch_to.active_element, opener)

    def test_a_phone_of_360_pixels(self):
        self.press("#show-settings")
        self.press("#show-live")
        self.browser.size(360, 640)
        wide = self.driver.execute_script("return document.documentElement.scrollWidth")
        self.assertLessEqual(wide, 360)
        self.check("outsideOfScreen")
        self.assertGreater(self.driver.execute_script("return document.getElementById('log').clientHeight"), 200)

    def test_streams_do_not_chatter(self):
        loud = "#turns [aria-live], #turns [role=status], #turns [role=log]"
        self.assertEqual(self.driver.execute_script(COUNT, loud), 0)
        self.assertEqual(sorted(self.driver.execute_script(ACCESS + "\nreturn liveRegions();")), ["banner", "status"])
        self.until(lambda: "ended" in self.find("#status").get_attribute("textContent"), "the end to be announced")


if __name__ == "__main__":
    unittest.main()
