#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/page-light.png and docs/page-dark.png from a real run with two strands.

  PLAIT=build/release/plait tools/page_shots.py
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import page_browser  # noqa: E402
import source_files  # noqa: E402

BYTES_MAX = 150_000
WAIT_SECONDS = 60

ASK = """
for (const [id, value] of [["count", "2"], ["max_tokens", "80"], ["seed", "1"], ["temperature", "0.7"]]) {
  document.getElementById(id).value = value;
}
document.getElementById("draft").value = arguments[0];
document.getElementById("send").click();
"""


def wait(driver, script: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not driver.execute_script("return " + script):
        if time.monotonic() > end:
            raise SystemExit(f"not within {WAIT_SECONDS} s: {script}")
        time.sleep(0.1)


def draw(server: page_browser.Server, folder: pathlib.Path) -> None:
    browser = page_browser.Browser(width=1200, height=800)
    try:
        browser.driver.get(server.address + "/")
        wait(browser.driver, "document.getElementById('model').value")
        browser.driver.execute_script("document.getElementById('show-live').click()")
        for question in ("Give three tips for clear code.", "Show one of them in a few lines of Python."):
            browser.driver.execute_script(ASK, question)
            wait(browser.driver, "document.querySelector('.answer') && !document.querySelector('.answer.runs')")
            time.sleep(2)
        for scheme in ("light", "dark"):
            browser.media(scheme)
            time.sleep(0.5)
            path = folder / f"page-{scheme}.png"
            browser.picture(path)
            if path.stat().st_size > BYTES_MAX:
                raise SystemExit(f"{path}: {path.stat().st_size} bytes, {BYTES_MAX} at most")
    finally:
        browser.close()


def main() -> int:
    if reason := page_browser.missing():
        print(reason, file=sys.stderr)
        return 1
    server = page_browser.Server()
    try:
        draw(server, source_files.ROOT / "docs")
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
