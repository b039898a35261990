#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs tests/clients: the server with clients that others wrote. Their libraries live in build/clients-venv.

  tools/clients.py FILES RE     runs the tests of tests/clients/FILES whose name matches; prints a line of JSON for each

./test runs this in processes of their own: with the Python of the environment, and so that nothing can hang it.
"""
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import house  # noqa: E402

FOLDER = house.ROOT / "tests/clients"
REQUIREMENTS = FOLDER / "requirements.txt"
ENVIRONMENT = house.ROOT / "build/clients-venv"
PYTHON = ENVIRONMENT / "bin/python"
NEED_LIBRARIES = {"openai_test", "others_test", "described_test"}
SECONDS_MAX = 600
INSTALL_SECONDS_MAX = 300


class Prefixed:
    """A tally whose names begin with "clients."."""

    def __init__(self, tally):
        self.tally = tally

    def wants(self, name):
        return self.tally.wants(f"clients.{name}")

    def passes(self, name):
        self.tally.passes(f"clients.{name}")

    def fails(self, name, detail=""):
        self.tally.fails(f"clients.{name}", detail)

    def skips(self, name, reason):
        self.tally.skips(f"clients.{name}", reason)


class Lines:
    """A tally that writes what it is told for the process that started this one."""

    def __init__(self, file):
        self.file = file

    def wants(self, _):
        return True

    def passes(self, name):
        self._write("passes", name)

    def fails(self, name, detail=""):
        self._write("fails", name, detail)

    def skips(self, name, reason):
        self._write("skips", name, reason)

    def _write(self, *values):
        print(json.dumps(values), file=self.file, flush=True)


def run(tally, setup) -> None:
    """All files whose tests are wanted. `setup` is run_tests.setup."""
    prefixed = Prefixed(tally)
    files = [path.stem for path in sorted(FOLDER.glob("*_test.py"))
             if any(prefixed.wants(test.id()) for test in house.find_unittests(FOLDER, path.name))]
    if not files:
        return
    if not setup("build", "release", "plait"):
        prefixed.fails("build")
        return
    libraries = NEED_LIBRARIES.isdisjoint(files) or prepare(tally, setup)
    if not libraries:
        tally.note("the client libraries cannot be installed; the tests that need them are skipped")
    for name in files:
        run_file(prefixed, PYTHON if name in NEED_LIBRARIES and libraries else sys.executable, name)


def prepare(tally, setup) -> bool:
    """Makes the environment, unless it is there with just these libraries."""
    stamp = ENVIRONMENT / "stamp"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return True
    if importlib.util.find_spec("ensurepip") is None:
        setup("packages", "clients")
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1",
               "--timeout", "20", "--requirement", REQUIREMENTS]
    for command in ([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], install):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            tally.note("\n".join((done.stdout + done.stderr).strip().splitlines()[-2:]))
            return False
    stamp.write_text(wanted, encoding="utf-8")
    return True


def run_file(tally: Prefixed, python, name: str) -> None:
    """Counts what the other process says about the tests of one file. It has a group of its own, with its servers."""
    command = [python, __file__, f"{name}.py", tally.tally.pattern.pattern]
    environment = os.environ | {"PLAIT": os.environ.get("PLAIT", str(house.ROOT / "build/release/plait"))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment,
                          start_new_session=True) as process:
        def kill():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        watchdog = threading.Timer(SECONDS_MAX, kill)
        watchdog.start()
        try:
            for line in process.stdout:
                kind, *values = json.loads(line)
                getattr(tally, kind)(*values)
            code = process.wait()
        finally:
            watchdog.cancel()
            kill()
    if code != 0:
        tally.fails(name, f"ended with code {code}, at most {SECONDS_MAX} s are allowed")


def main(files: str, pattern: str) -> int:
    """The other process: the tests' own output goes to stderr."""
    lines = Lines(sys.stdout)
    with contextlib.redirect_stdout(sys.stderr):
        tests = house.find_unittests(FOLDER, files)
        house.run_unittests(lines, [test for test in tests if re.search(pattern, f"clients.{test.id()}")])
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
