#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/page-light.png, page-dark.png and page-phone.png: a real chat with two strands, beside other clients.

  PLAIT=build/release/plait /usr/bin/python3 tools/page_shots.py
"""
import contextlib
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import page_browser  # noqa: E402
import source_files  # noqa: E402

BYTES_MAX = 300_000
WAIT_SECONDS = 120
ROWS = "3"  # few, so that somebody waits
OTHERS = ["bench", "serve", "fairness", "--requests", "1000", "--heavy", "5", "--heavy-prompt", "400",
          "--heavy-output", "200", "--output", "30", "--pause", "1"]

SETTINGS = """
for (const [id, value] of Object.entries(arguments[0])) {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change"));
}"""
ASK = """
document.getElementById("draft").value = arguments[0];
document.getElementById("send").click();"""
DONE = "document.querySelector('.answer') && !document.querySelector('.answer.runs')"


def wait(driver, script: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not driver.execute_script("return " + script):
        if time.monotonic() > end:
            raise SystemExit(f"not within {WAIT_SECONDS} s: {script}")
        time.sleep(0.1)


@contextlib.contextmanager
def other_clients(server: page_browser.Server):
    """Somebody who asks for much and somebody who asks for little, meanwhile."""
    process = subprocess.Popen([page_browser.PLAIT, *OTHERS, "--url", server.address], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def draw(browser: page_browser.Browser, path: pathlib.Path) -> None:
    time.sleep(0.5)
    browser.picture(path)
    if path.stat().st_size > BYTES_MAX:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, {BYTES_MAX} at most")
    print(f"{path.name}: {path.stat().st_size} bytes")


def draw_all(server: page_browser.Server, browser: page_browser.Browser, folder: pathlib.Path) -> None:
    driver = browser.driver
    driver.get(server.address + "/")
    wait(driver, "document.getElementById('model').value")
    driver.execute_script(SETTINGS, {"count": "2", "max_tokens": "100", "seed": "1", "temperature": "0.4"})
    driver.execute_script(ASK, "Give three tips for clear code.")
    wait(driver, DONE)
    driver.execute_script("document.getElementById('show-live').click()")
    with other_clients(server):
        time.sleep(40)  # so that the lines are long
        driver.execute_script(SETTINGS, {"max_tokens": "400"})
        driver.execute_script(ASK, "Tell me a long story about a river.")
        wait(driver, "[...document.querySelectorAll('.columns .text')].every((one) => one.textContent.length > 300)")
        for scheme in ("light", "dark"):
            browser.media(scheme)
            draw(browser, folder / f"page-{scheme}.png")
    wait(driver, DONE)
    driver.execute_script("document.getElementById('show-live').click()")
    browser.size(390, 780)
    draw(browser, folder / "page-phone.png")


def main() -> int:
    if reason := page_browser.missing():
        print(reason, file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        server = page_browser.Server("--rows", ROWS)
        stack.callback(server.stop)
        browser = page_browser.Browser(width=1280, height=1120)
        stack.callback(browser.close)
        draw_all(server, browser, source_files.ROOT / "docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
