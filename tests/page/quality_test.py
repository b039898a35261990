# SPDX-License-Identifier: Apache-2.0
"""The chat page in headless Chromium, in front of a real `plait serve`: safety, speed, accessibility.

Needs Debian's chromium, chromium-driver and python3-selenium, the default model, and PLAIT=path/to/plait; else skips.
Run it as a program; ./test runs it as well.
"""
import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from page_case import COUNT, PageCase  # noqa: E402  (first: it knows where the tools are)
import page_browser  # noqa: E402

if not page_browser.missing():
    from selenium.webdriver.common.keys import Keys

ACCESS = (HERE / "access.js").read_text(encoding="utf-8")
SCROLL_MS_MAX = 200  # no task longer than this while 1,000 messages are made and scrolled; a frame has 16 ms


def setUpModule():  # noqa: N802
    if reason := page_browser.missing():
        raise unittest.SkipTest(reason)


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
        for piece in ("*a ", "**a*", "`", "_", "- ", "`` a ` ", "[", "1. x\n   ", "```\n", "\\"):
            spent = self.driver.execute_script("""
                const began = performance.now();
                markdown.blocks(arguments[0].repeat(20000));
                return performance.now() - began""", piece)
            self.assertLess(spent, 3000, piece)


class SpeedTest(PageCase):
    def test_thousand_messages_stay_smooth(self):
        text = ("Some **bold** words, and `code`.\n\n- one\n- two\n\n```py\nprint(1)\n```\n\n" +
                "A sentence of it. " * 20)
        nodes = [{"id": i + 1, "parent": i, "role": "assistant" if i % 2 else "user", "text": text, "run": 5000 + i,
                  "seed": 1, "choice": 0, "end": "stop"} for i in range(1000)]
        chat = {"version": 1, "next": 9000, "chosen": [[i, i + 1] for i in range(1000)], "nodes": nodes}
        self.open_page({"plait.chat": json.dumps(chat)})
        self.until(lambda: self.driver.execute_script(COUNT, ".turn") == 1000, "all messages")
        tasks = self.driver.execute_async_script("""
            const done = arguments[0], tasks = [];
            new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => Math.round(e.duration))))
              .observe({type: "longtask", buffered: true});
            const log = document.getElementById("log"), top = log.scrollHeight;
            // One long task of our own proves that they are seen.
            setTimeout(() => { for (const end = performance.now() + 110; performance.now() < end;); }, 0);
            let step = 0;
            const scroll = () => {
              if (step > 60) return setTimeout(() => done(tasks), 200);
              log.scrollTop = top * (1 - step++ / 60);
              requestAnimationFrame(scroll);
            };
            scroll();""")
        print(f"\nlong tasks with 1,000 messages, ms: {tasks}", file=sys.stderr)
        self.assertTrue(tasks)
        self.assertLess(max(tasks), SCROLL_MS_MAX)
        self.settings(2, 40)
        self.send("And now?")
        self.wait_done()
        self.assertEqual(self.driver.execute_script(COUNT, ".turn"), 1002)


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

    def test_names_and_ids(self):
        self.check("controlsWithoutName")
        self.check("idsTwice")
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
            document.body.append(bad);""")
        for rule in ("lowContrast", "controlsWithoutName", "idsTwice"):
            self.assertNotEqual(self.driver.execute_script(ACCESS + f"\nreturn {rule}();"), [], rule)

    def test_theme_of_the_system(self):
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = self.driver.execute_script(ground)
        self.browser.media("dark")
        self.assertNotEqual(self.driver.execute_script(ground), light)
        self.browser.media("light")
        self.assertEqual(self.driver.execute_script(ground), light)

    def test_tab_reaches_everything(self):
        wanted = self.driver.execute_script(ACCESS + "\nreturn markReachable();")
        self.driver.execute_script("document.activeElement.blur()")
        reached = set()
        for _ in range(wanted + 20):
            self.driver.switch_to.active_element.send_keys(Keys.TAB)
            reached.add(self.driver.execute_script("return document.activeElement.dataset.reach ?? ''"))
        self.assertEqual([name for name in map(str, range(wanted)) if name not in reached], [])

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
        self.until(lambda: "ended" in self.find("#status").get_attribute("textContent"), "the end to be announced")


if __name__ == "__main__":
    unittest.main()
