# SPDX-License-Identifier: Apache-2.0
"""The chat page in headless Chromium, in front of a real `plait serve`: what it does.

Needs Debian's chromium, chromium-driver and python3-selenium, and the default model; else skips. Run it as a program,
with Debian's Python; ./test runs it as well.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from page_case import PageCase  # noqa: E402  (first: it knows where the tools are)
import page_browser  # noqa: E402

if not page_browser.missing():
    from selenium.webdriver.common.keys import Keys


class ChatTest(PageCase):
    def test_one_strand_streams(self):
        self.driver.get_log("browser")
        self.settings(1, 1500)
        self.endless()
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
        self.endless()
        self.send("Write a very long poem.")
        self.until(lambda: self.runs() == 3 and all(self.texts()), "three strands")
        self.click(self.button("Stop Strand 2"))
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

    def choose_strategy(self, name):
        self.driver.execute_script("const list = document.getElementById('strategy'); list.value = arguments[0];"
                                   "list.dispatchEvent(new Event('change'));", name)

    def test_a_strategy_shows_its_strands_and_who_reads_whom(self):
        self.settings(3, 240, seed=5)
        self.choose_strategy("group-think")
        self.send("Tell me a long story about a river.")
        self.until(lambda: len([one for one in self.all(".strand-text") if one.text]) >= 2, "thinkers that write")
        self.wait_done()
        titles = [one.text.split(" · ")[0] for one in self.all(".strand h3")]
        self.assertGreaterEqual(len([title for title in titles if title.startswith("Thinker ")]), 2)
        first, second = [one for one in self.all(".strand") if one.is_displayed()][:2]
        self.assertEqual(first.rect["y"], second.rect["y"])
        self.assertGreater(len(self.all(".thought .reads")), 0)
        self.assertIn("one row that reads all", self.find(".thinking summary").text)
        self.assertEqual(len(self.all(".answer")), 1)
        self.assert_no_errors()
        self.choose_strategy("")

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
        self.click(self.button("Edit this message and branch"))
        field = self.find(".editing textarea")
        field.clear()
        field.send_keys("Name a river.", Keys.ENTER)
        self.until(lambda: self.find(".said").text == "Name a river.", "the new wording")
        self.wait_done()
        self.assertEqual(self.find(".turn.user .place").text, "2/2")
        self.click(self.button("Earlier wording"))
        self.assertEqual(self.find(".said").text, "Name a colour.")
        self.assertEqual(self.texts(), before)
        self.assertEqual(self.find(".turn.user .place").text, "1/2")

    def test_fork_in_the_middle_of_an_answer(self):
        self.settings(1, 20)
        self.send("Say something about cats.")
        self.wait_done()
        self.click(self.button("Fork Answer at a place of your choice"))
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
        self.click(self.button("Try Answer again"))
        self.until(lambda: self.texts()[0] and not self.runs(), "an answer after all")
        self.assertFalse(self.find(".trouble").is_displayed())

    def test_selected_words_set_the_cursor_of_a_fork(self):
        node = {"id": 2, "parent": 1, "role": "assistant", "run": 9, "seed": 1, "choice": 0, "end": "stop",
                "text": "A **cat** is a cat.\n\n- a cat\n- no cat"}
        user = {"id": 1, "parent": 0, "role": "user", "text": "Hi"}
        chat = {"version": 1, "next": 10, "chosen": [], "nodes": [user, node]}
        self.open_page({"plait.chat": json.dumps(chat)})
        for number, item in enumerate(("strong", "p", "li:first-child", "li:last-child")):
            self.driver.execute_script("""
                const element = document.querySelector(".answer .text " + arguments[0]);
                const text = element.lastChild;
                const at = text.data.lastIndexOf("cat");
                getSelection().setBaseAndExtent(text, at, text, at + 3);""", item)
            self.button("Fork Answer at a place of your choice").click()
            place = self.driver.execute_script("return document.getElementById('fork-text').selectionStart")
            self.assertEqual(node["text"][:place].count("cat"), number, item)
            self.assertTrue(node["text"][place:].startswith("cat"))
            self.driver.execute_script("document.getElementById('fork').close(); getSelection().removeAllRanges()")

    def test_fork_while_it_is_written(self):
        self.settings(1, 4000)
        self.endless()
        self.send("Write a very long poem.")
        self.until(lambda: self.runs() and len(self.texts()[0]) > 20, "some text")
        self.click(self.button("Fork Answer at a place of your choice"))
        self.driver.execute_script("arguments[0].setSelectionRange(9, 9)", self.find("#fork-text"))
        begun = self.find("#fork-text").get_attribute("value")[:9]
        self.press("#fork-go")
        self.until(lambda: len(self.texts()) == 1 and len(self.texts()[0]) > 9, "the fork's text")
        self.assertTrue(self.texts()[0].startswith(begun.strip()), self.texts())
        self.assertEqual(self.find("#stop-all").text, "Stop all 2")
        self.press("#stop-all")
        self.until(lambda: self.find("#stop-all").get_attribute("hidden"), "both to stop")
        self.click(self.button("Earlier set of answers"))
        self.assertIn("stopped", self.find(".answer").text)

    def test_keys(self):
        self.find("#draft").send_keys("one", Keys.SHIFT + Keys.ENTER, Keys.NULL, "two")
        self.assertEqual(self.find("#draft").get_attribute("value"), "one\ntwo")
        log = self.find("#log")
        for key, panel in (("s", "#settings"), ("l", "#live"), ("?", "#help")):
            log.send_keys(key)
            self.assertTrue(self.find(panel).is_displayed(), key)
        self.find("#help").send_keys(Keys.ESCAPE)
        self.assertFalse(self.find("#help").is_displayed())
        log.send_keys(Keys.ESCAPE)
        self.assertFalse(self.find("#settings").is_displayed() or self.find("#live").is_displayed())
        log.send_keys("/")
        self.assertEqual(self.driver.switch_to.active_element.get_attribute("id"), "draft")
        self.assertEqual(self.find("#draft").get_attribute("value"), "one\ntwo")

    def test_sampling_settings_are_sent_and_kept(self):
        self.settings(1, 8, seed=3)
        for name, value in (("temperature", "0.5"), ("top_p", "0.9"), ("top_k", "40"), ("repetition_penalty", "1.1"),
                            ("frequency_penalty", "0.2")):
            self.set_value("#" + name, value)
        self.driver.execute_script("""
            window.sent = [];
            const real = window.fetch;
            window.fetch = (path, options) => { sent.push([path, options?.body]); return real(path, options); };""")
        self.send("Name a colour.")
        self.wait_done()
        bodies = [body for path, body in self.driver.execute_script("return sent") if path == "/v1/chat/completions"]
        request = json.loads(bodies[0])
        for name, value in (("temperature", 0.5), ("top_p", 0.9), ("top_k", 40), ("repetition_penalty", 1.1),
                            ("frequency_penalty", 0.2), ("max_tokens", 8), ("seed", 3)):
            self.assertEqual(request[name], value, name)
        self.driver.refresh()
        self.assertEqual(self.find("#top_k").get_attribute("value"), "40")
        self.set_value("#top_p", "7")
        self.send("Name a colour.")
        self.assertEqual(self.driver.switch_to.active_element.get_attribute("id"), "top_p")  # and it is not sent

    def code_of(self, kind: str) -> str:
        """What the button of the first message puts on the clipboard."""
        self.driver.execute_script("dom.copy = (text) => { window.copied = text; }")
        self.click(self.find(f'.turn.user button[aria-label="Copy the request as {kind}"]'))
        return self.driver.execute_script("return copied")

    def run_code(self, command: list[str], code: str) -> str:
        """What it prints."""
        return subprocess.run(command, input=code, stdout=subprocess.PIPE, text=True, timeout=120, check=True).stdout

    def test_copied_requests_run_and_give_the_same_answer(self):
        self.settings(1, 12, seed=3)
        self.set_value("#min_p", "0.1")
        self.set_value("#system", "It's \"brief\".\n\\")
        self.send("Don't be `long` — $HOME, é, 🙂.")
        self.wait_done()
        [answer] = self.driver.execute_script("return tree.path().slice(1).map((node) => node.text)")
        python, curl = self.code_of("Python"), self.code_of("curl")
        self.assertEqual(self.run_code([sys.executable, "-"], python), answer + "\n")
        streamed = self.run_code(["bash"], curl)
        events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
        self.assertEqual("".join(part["choices"][0]["delta"].get("content") or "" for part in events), answer)

    def test_copied_python_has_all_answers(self):
        self.settings(2, 6)
        self.send("Name a colour.")
        self.wait_done()
        printed = self.run_code([sys.executable, "-"], self.code_of("Python"))
        self.assertEqual(len([part for part in printed.split("\n---\n") if part.strip()]), 2)

    def exported(self, folder: pathlib.Path) -> dict[str, str] | None:
        """The texts by suffix, once both are there."""
        paths = {path.suffix: path for path in folder.iterdir()}
        if set(paths) != {".json", ".md"}:
            return None
        return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}

    def test_exports(self):
        self.settings(2, 8)
        self.set_value("#system", "Be brief.")
        self.send("Name a colour.")
        self.wait_done()
        with tempfile.TemporaryDirectory() as folder:
            self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
            self.press("#export-json")
            self.press("#export-markdown")
            files = self.until(lambda: self.exported(pathlib.Path(folder)), "two files")
        whole = json.loads(files[".json"])
        self.assertEqual([message["role"] for message in whole["messages"]], ["system", "user", "assistant"])
        self.assertEqual(len(whole["tree"]["nodes"]), 3)
        answer = whole["messages"][-1]["content"]
        for part in ("## System\n\nBe brief.", "## User\n\nName a colour.", "## Assistant", answer):
            self.assertIn(part, files[".md"])
        same = self.driver.execute_script("tree.load(arguments[0]); return JSON.stringify(tree.dump())", whole["tree"])
        self.assertEqual(json.loads(same), whole["tree"])


class ModelsTest(PageCase):
    """Two models: the same file under two names."""

    @classmethod
    def setUpClass(cls):
        if page_browser.missing():
            return
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        twin = pathlib.Path(folder.name) / "twin.gguf"
        twin.symlink_to(page_browser.documents.default_model())
        cls.ARGUMENTS = ("--models", str(twin))
        super().setUpClass()

    def test_the_chosen_one_answers(self):
        self.settings(1, 8)
        names = [option.get_attribute("value") for option in self.all("#model option")]
        self.assertEqual(names, ["smollm2-135m", "twin"])
        self.set_value("#model", "twin")
        self.send("Name a colour.")
        self.wait_done()
        self.assertTrue(self.texts()[0])
        self.assertEqual(self.driver.execute_script("return tree.path().at(-1).model"), "twin")
        self.driver.refresh()
        self.until(lambda: self.find("#model").get_attribute("value") == "twin", "the choice to be kept")
        self.press("#show-live")
        with urllib.request.urlopen(self.server.address + "/v1/plait/status") as reply:
            steps = {model["name"]: model["steps"] for model in json.load(reply)["models"]}
        self.assertGreater(steps["twin"], 0)


class ReconnectTest(PageCase):
    ARGUMENTS = ()

    def test_restart_on_the_same_port(self):
        self.settings(1, 4000)
        self.endless()
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
        if page_browser.missing():
            return
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
