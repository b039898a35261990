# SPDX-License-Identifier: Apache-2.0
"""The chat page in headless Chromium, in front of a real `plait serve`: what it does.

Needs Debian's chromium, chromium-driver and python3-selenium, the default model, and PLAIT=path/to/plait; else skips.
Run it as a program; ./test runs it as well.
"""
import json
import pathlib
import sys
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from page_case import PageCase  # noqa: E402  (first: it knows where the tools are)
import page_browser  # noqa: E402

if not page_browser.missing():
    from selenium.webdriver.common.keys import Keys


def setUpModule():  # noqa: N802
    if reason := page_browser.missing():
        raise unittest.SkipTest(reason)


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
        self.until(lambda: "127.0.0.1" in self.find("#clients tbody").text, "the client")
        pages = self.find("#kv-pages svg").get_attribute("aria-label")
        self.assertRegex(pages, r"^\d+ of \d+ pages are in use: \d+ own, \d+ shared, \d+ cached, \d+ free$")
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
                if line.split("{")[0].split(" ")[0] == name:
                    return float(line.split()[-1])
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
    """A server that asks for a key still hands out the page, and no model."""

    @classmethod
    def setUpClass(cls):
        cls.file, cls.key = page_browser.key_file()
        cls.ARGUMENTS = ("--keys", str(cls.file))
        super().setUpClass()

    def test_the_page_asks_for_the_key(self):
        for path, status in (("/health", 200), ("/v1/models", 401), ("/", 200)):
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


if __name__ == "__main__":
    unittest.main()
