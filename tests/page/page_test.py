# SPDX-License-Identifier: Apache-2.0
"""The chat page in headless Chromium, in front of a real `plait serve`: PLAIT=path/to/plait python3 -m unittest.

Needs Debian's chromium, chromium-driver and python3-selenium, and the default model; else it skips.
"""
import json
import pathlib
import sys
import time
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))
import page_browser  # noqa: E402

if not page_browser.missing():
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

ACCESS = (HERE / "access.js").read_text(encoding="utf-8")
WAIT_SECONDS = 40
SCROLL_MS_MAX = 200  # no task longer than this while 1,000 messages are made and scrolled; a frame has 16 ms
COUNT = "return document.querySelectorAll(arguments[0]).length"


def setUpModule():  # noqa: N802
    if reason := page_browser.missing():
        raise unittest.SkipTest(reason)


class PageCase(unittest.TestCase):
    """A server and a browser for the class; each test opens the page anew, with nothing stored."""

    ARGUMENTS: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls):
        cls.server = page_browser.Server(*cls.ARGUMENTS)
        cls.addClassCleanup(lambda: cls.server.stop())
        cls.browser = page_browser.Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.driver = cls.browser.driver

    def setUp(self):
        self.browser.size(1280, 800)
        self.open_page({})

    def open_page(self, stored: dict[str, str]):
        """The page with these entries in its localStorage."""
        self.driver.get(self.server.address + "/health")  # same origin, no page that would write its own state
        self.driver.execute_script("""
            localStorage.clear();
            sessionStorage.clear();
            Object.assign(localStorage, arguments[0])""", stored)
        self.driver.get(self.server.address + "/")

    def find(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, selector: str):
        """A click as scripts do it: where things lie on the screen is not what these tests are about."""
        self.driver.execute_script("arguments[0].click()", self.find(selector))

    def button(self, name: str, within: str = "body"):
        return self.find(f'{within} button[aria-label="{name}"]')

    def until(self, what, message: str, seconds: float = WAIT_SECONDS):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if result := what():
                return result
            time.sleep(0.05)
        self.fail(f"not within {seconds} s: {message}")

    def set_value(self, selector: str, value: str):
        self.driver.execute_script("arguments[0].value = arguments[1];"
                                   "arguments[0].dispatchEvent(new Event('change', {bubbles: true}))",
                                   self.find(selector), value)

    def settings(self, count: int, max_tokens: int, seed: int = 7):
        self.until(lambda: self.all("#model option"), "models")
        self.set_value("#count", str(count))
        self.set_value("#max_tokens", str(max_tokens))
        self.set_value("#seed", str(seed))

    def send(self, text: str):
        self.find("#draft").send_keys(text + Keys.ENTER)

    def runs(self) -> int:
        return self.driver.execute_script(COUNT, ".answer.runs")

    def wait_done(self):
        self.until(lambda: self.all(".answer") and self.runs() == 0, "all strands to end")

    def texts(self) -> list[str]:
        return [element.get_attribute("textContent") for element in self.all(".answer .text")]

    def assert_no_errors(self):
        problems = [entry["message"] for entry in self.driver.get_log("browser")
                    if "SEVERE" in entry["level"] and "favicon" not in entry["message"]]
        self.assertEqual(problems, [])


class ChatTest(PageCase):
    def test_one_strand_streams(self):
        self.driver.get_log("browser")
        self.settings(1, 120)
        self.send("Tell me a long story about a river.")
        first = self.until(lambda: self.runs() and self.texts()[0], "first text while it runs")
        self.wait_done()
        self.assertGreater(len(self.texts()[0]), len(first))
        self.assertEqual(self.find(".said").text, "Tell me a long story about a river.")
        self.assertEqual(self.find("#draft").get_attribute("value"), "")
        self.assert_no_errors()

    def test_two_strands_side_by_side_have_seeds_of_their_own(self):
        self.settings(2, 24, seed=7)
        self.send("Name a colour.")
        self.wait_done()
        one, two = self.texts()
        self.assertTrue(one and two and one != two)
        first, second = self.all(".answer")
        self.assertEqual(first.rect["y"], second.rect["y"])
        self.assertGreater(second.rect["x"], first.rect["x"])
        self.assertIn("seed 7", first.text)
        self.assertIn("seed 8", second.text)

    def test_eight_strands_while_metrics_are_read(self):
        self.press("#show-live")
        self.settings(8, 40)
        self.send("Name a colour.")
        self.until(lambda: "generated" in self.find("#live").text, "charts")
        self.wait_done()
        self.assertEqual(len(self.texts()), 8)
        self.assertTrue(all(self.texts()))
        self.until(lambda: self.find("#live polyline").get_attribute("points").count(",") > 2, "a line with points")
        self.press("#show-live")

    def test_same_seed_same_answer(self):
        for _ in range(2):
            self.open_page({})
            self.settings(1, 16, seed=99)
            self.send("Say hello.")
            self.wait_done()
            answers = getattr(self, "answers", [])
            self.answers = answers + self.texts()
        self.assertEqual(self.answers[0], self.answers[1])

    def test_stop_one_then_all(self):
        self.settings(3, 4000)
        self.send("Write a very long poem.")
        self.until(lambda: self.runs() == 3 and all(self.texts()), "three strands")
        self.driver.execute_script("arguments[0].click()", self.button("Stop Strand 2"))
        self.until(lambda: self.runs() == 2, "one strand to stop")
        self.assertIn("stopped", self.all(".answer")[1].text)
        self.find("#draft").send_keys(Keys.ESCAPE)
        self.until(lambda: self.runs() == 0, "all to stop")
        self.until(lambda: self.metric("plait_sequences_running") == 0, "the server to stop, too")

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(self.server.address + "/metrics") as reply:
            for line in reply.read().decode().split("\n"):
                if line.startswith(name + " "):
                    return float(line.split()[1])
        raise KeyError(name)

    def test_continue_from_a_strand(self):
        self.settings(2, 12)
        self.send("Name a colour.")
        self.wait_done()
        chosen = self.texts()[1]
        self.find("#log").send_keys("2")
        self.find("#draft").send_keys("/")  # in the field it is only a character
        self.assertEqual(self.find("#draft").get_attribute("value"), "/")
        self.find("#draft").clear()
        self.send("Another one.")
        self.wait_done()
        self.assertEqual(self.texts()[0], chosen)
        self.assertEqual(len(self.texts()), 3)
        kept = self.driver.execute_script("tree.write(); return localStorage.getItem('plait.chat')")
        self.assertEqual(len(json.loads(kept)["nodes"]), 6)
        self.driver.refresh()
        self.until(lambda: len(self.all(".answer")) == 3, "the chat after a reload")
        self.assertEqual(self.texts()[0], chosen)

    def test_edit_and_branch(self):
        self.settings(1, 8)
        self.send("Name a colour.")
        self.wait_done()
        before = self.texts()
        self.driver.execute_script("arguments[0].click()", self.button("Edit this message and branch"))
        field = self.find(".editing textarea")
        field.clear()
        field.send_keys("Name a river.", Keys.ENTER)
        self.until(lambda: self.find(".said").text == "Name a river.", "the new wording")
        self.wait_done()
        self.assertEqual(self.find(".turn.user .place").text, "2/2")
        self.driver.execute_script("arguments[0].click()", self.button("Earlier wording"))
        self.assertEqual(self.find(".said").text, "Name a colour.")
        self.assertEqual(self.texts(), before)
        self.assertEqual(self.find(".turn.user .place").text, "1/2")

    def test_fork_in_the_middle_of_an_answer(self):
        self.settings(1, 20)
        self.send("Say something about cats.")
        self.wait_done()
        self.driver.execute_script("arguments[0].click()", self.button("Fork Answer at a place of your choice"))
        self.driver.execute_script("const f = arguments[0]; f.value = 'Cats are'; f.setSelectionRange(8, 8)",
                                   self.find("#fork-text"))
        self.set_value("#count", "2")
        self.press("#fork-go")
        self.until(lambda: len(self.all(".answer")) == 2, "two strands")
        self.wait_done()
        for text in self.texts():
            self.assertTrue(text.startswith("Cats are") and len(text) > 10, text)
        self.assertIn("forked at 8", self.find(".answer").text)

    def test_refusal_says_what_to_do(self):
        self.settings(1, 8100)
        self.send("Hi. " * 200)
        self.until(lambda: self.find(".trouble").is_displayed(), "the error")
        self.assertIn("lower max tokens", self.find(".trouble").text)
        self.set_value("#max_tokens", "8")
        self.driver.execute_script("arguments[0].click()", self.button("Try Answer again"))
        self.until(lambda: self.texts()[0] and not self.runs(), "an answer after all")
        self.assertFalse(self.find(".trouble").is_displayed())

    def test_requests_and_exports(self):
        self.settings(1, 8, seed=3)
        self.set_value("#min_p", "0.1")
        self.set_value("#system", "It's \"brief\".")
        self.send("Don't be long.")
        self.wait_done()
        user = "tree.path()[0]"
        curl = self.driver.execute_script(f"return exporting.curl({user})")
        self.assertIn(self.server.address + "/v1/chat/completions", curl)
        self.assertIn("Don'\\''t", curl)
        python = self.driver.execute_script(f"return exporting.python({user})")
        compile(python, "request.py", "exec")
        self.assertIn('extra_body={"min_p": 0.1}', python)
        whole = json.loads(self.driver.execute_script("return exporting.jsonText()"))
        self.assertEqual([message["role"] for message in whole["messages"]], ["system", "user", "assistant"])
        self.assertIn("## User", self.driver.execute_script("return exporting.markdownText()"))


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


class ReconnectTest(PageCase):
    def test_restart_on_the_same_port(self):
        self.settings(1, 4000)
        self.send("Write a very long poem.")
        self.until(lambda: self.runs() and self.texts()[0], "text")
        type(self).server.process.kill()
        self.until(lambda: self.find("#banner").is_displayed(), "the banner")
        self.until(lambda: self.runs() == 0, "the strand to end")
        self.assertIn("broke off", self.find(".answer").text)
        self.assertTrue(self.texts()[0])
        self.send("a draft")
        self.assertEqual(self.find("#draft").get_attribute("value"), "a draft")
        self.assertEqual(len(self.all(".said")), 1)
        port = self.server.port
        self.server.stop()
        type(self).server = page_browser.Server(port=port)
        self.until(lambda: not self.find("#banner").is_displayed(), "the page to notice")
        self.assertEqual(self.find("#draft").get_attribute("value"), "a draft")
        self.set_value("#max_tokens", "8")
        self.send("")
        self.until(lambda: len(self.all(".answer")) == 2, "the draft to be sent")
        self.wait_done()


class KeyTest(PageCase):
    """A server that asks for a key still hands out the page, and nothing else."""

    @classmethod
    def setUpClass(cls):
        cls.file, cls.key = page_browser.key_file()
        cls.ARGUMENTS = ("--keys", str(cls.file))
        super().setUpClass()

    def test_the_page_asks_for_the_key(self):
        for path, status in (("/health", 401), ("/v1/models", 401), ("/", 200)):
            with self.subTest(path):
                self.assertEqual(self.status(path), status)
        self.until(lambda: self.find("#banner").is_displayed(), "the banner")
        self.press("#banner-action")
        self.find("#key-text").send_keys("wrong", Keys.ENTER)
        self.until(lambda: "does not know" in self.find("#notice").text, "a word about the wrong key")
        self.find("#key-text").clear()
        self.find("#key-text").send_keys(self.key, Keys.ENTER)
        self.until(lambda: not self.find("#banner").is_displayed(), "the banner to go")
        self.settings(1, 8)
        self.send("Hi")
        self.wait_done()
        self.assertTrue(self.texts()[0])
        self.assertNotIn(self.key, self.driver.execute_script("return JSON.stringify(localStorage)"))

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.server.address + path) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code


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
