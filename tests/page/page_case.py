# SPDX-License-Identifier: Apache-2.0
"""What the tests of the page share: a server, a browser, and how to press and look at things."""
import atexit
import functools
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools"))
import page_browser  # noqa: E402

if not page_browser.missing():
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

WAIT_SECONDS = 90  # a machine that others use, too
COUNT = "return document.querySelectorAll(arguments[0]).length"


@functools.cache
def shared_browser() -> "page_browser.Browser":
    """One for all tests of the process."""
    browser = page_browser.Browser()
    atexit.register(browser.close)
    return browser


@functools.cache
def shared_server() -> "page_browser.Server":
    """One with the default settings, for all classes that ask for no others."""
    server = page_browser.Server()
    atexit.register(server.stop)
    return server


class PageCase(unittest.TestCase):
    """The page of a server in a browser; each test opens it anew, with nothing stored."""

    ARGUMENTS: tuple[str, ...] | None = None  # of a server of its own; None: the shared one will do

    @classmethod
    def setUpClass(cls):
        if page_browser.missing():
            return
        cls.browser = shared_browser()
        cls.driver = cls.browser.driver
        if cls.ARGUMENTS is None:
            cls.server = shared_server()
            return
        cls.server = page_browser.Server(*cls.ARGUMENTS)
        cls.addClassCleanup(lambda: cls.server.stop())  # it may be another one by then

    def setUp(self):
        if reason := page_browser.missing():
            self.skipTest(reason)
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
        self.click(self.find(selector))

    def click(self, element):
        self.driver.execute_script("arguments[0].click()", element)

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

    def endless(self):
        """Answers that the page asks for from now on have all their tokens: none ends while a test looks at it."""
        self.driver.execute_script("""
            const real = window.fetch;
            window.fetch = (path, options) => {
              const body = options?.body ? JSON.parse(options.body) : {};
              if (!body.stream) return real(path, options);
              return real(path, { ...options, body: JSON.stringify({ ...body, ignore_eos: true }) });
            };""")

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
