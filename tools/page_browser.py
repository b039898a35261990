# SPDX-License-Identifier: Apache-2.0
"""A `plait serve` and a headless Chromium, for tests/page/ and tools/page_shots.py."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
except ImportError:
    webdriver = None

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import documents  # noqa: E402
import source_files  # noqa: E402

PLAIT = pathlib.Path(os.environ.get("PLAIT", source_files.ROOT / "build/release/plait")).resolve()
START_SECONDS = 120


def missing() -> str | None:
    """What is not there and how to get it; None when all is."""
    if webdriver is None or not shutil.which("chromium") or not shutil.which("chromedriver"):
        return "no browser: apt-get install chromium chromium-driver python3-selenium"
    if not PLAIT.exists():
        return f"no {PLAIT}: build it, or name one in the environment variable PLAIT"
    if not documents.default_model().exists():
        return "the default model is not there: plait model pull smollm2-135m"
    return None


class Server:
    """A process `plait serve`, on a free port unless one is given. `address` is "http://127.0.0.1:PORT"."""

    def __init__(self, *arguments: str, port: int = 0):
        command = [PLAIT, "serve", "--port", str(port), "--drain-seconds", "0", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        self.address, said, self.reader = "", "", None
        for line in self.process.stderr:
            said += line
            if match := re.search(r" at (http://\S+)", line):
                self.address = match.group(1)
                break
        watchdog.cancel()
        if not self.address:
            self.stop()
            raise RuntimeError("plait serve did not start:\n" + said)
        self.port = int(self.address.rsplit(":", 1)[1])
        self.reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.reader.start()  # so that the pipe never fills up

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.reader:
            self.reader.join()
        self.process.stderr.close()


class Browser:
    """Chromium with a profile of its own; `driver` is Selenium's."""

    def __init__(self, width: int = 1280, height: int = 800, dark: bool = False):
        self.profile = tempfile.mkdtemp(prefix="plait-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                         "--hide-scrollbars", "--disable-background-networking",
                         f"--user-data-dir={self.profile}", f"--window-size={width},{height}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(60)
        self.size(width, height)
        self.media("dark" if dark else "light")

    def size(self, width: int, height: int) -> None:
        """Of the page itself, in CSS pixels."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def media(self, scheme: str) -> None:
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def picture(self, path: pathlib.Path) -> None:
        self.driver.get_screenshot_as_file(str(path))

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)


def key_file() -> tuple[pathlib.Path, str]:
    """A new file of keys with one key, and that key."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="plait-keys-")) / "keys"
    done = subprocess.run([PLAIT, "key", "--file", path, "add", "tester"], capture_output=True, text=True,
                          check=True)
    return path, re.search(r"\S{20,}", done.stdout).group()
