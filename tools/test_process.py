#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs files of unittests in processes of their own: with the Python that has what they import, and so that nothing can
hang ./test.

  tools/test_process.py FOLDER FILES PREFIX RE   runs the tests of FOLDER/FILES whose name, behind PREFIX, matches;
                                                 prints a line of JSON for each
"""
import contextlib
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

SECONDS_MAX = 600


class Prefixed:
    """A tally whose names begin with "PREFIX."."""

    def __init__(self, tally, prefix: str):
        self.tally = tally
        self.prefix = prefix

    def wants(self, name):
        return self.tally.wants(f"{self.prefix}.{name}")

    def passes(self, name):
        self.tally.passes(f"{self.prefix}.{name}")

    def fails(self, name, detail=""):
        self.tally.fails(f"{self.prefix}.{name}", detail)

    def skips(self, name, reason):
        self.tally.skips(f"{self.prefix}.{name}", reason)


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


def wanted_files(tally: Prefixed, folder: pathlib.Path) -> list[str]:
    """The names of the folder's files, without ".py", that have a test that is wanted."""
    return [path.stem for path in sorted(folder.glob("*_test.py"))
            if any(tally.wants(test.id()) for test in house.find_unittests(folder, path.name))]


def run(tally: Prefixed, python, folder: pathlib.Path, files: str, module_path: pathlib.Path | None = None) -> None:
    """Counts what the other process says about the tests of the files. It has a group of its own, with its servers.
    Modules are looked for in module_path, too."""
    command = [python, __file__, folder, files, tally.prefix, tally.tally.pattern.pattern]
    environment = os.environ | {"PLAIT": os.environ.get("PLAIT", str(house.ROOT / "build/release/plait"))}
    if module_path:
        environment["PYTHONPATH"] = str(module_path)
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
        tally.fails(files.removesuffix(".py"), f"ended with code {code}, at most {SECONDS_MAX} s are allowed")


def main(folder: str, files: str, prefix: str, pattern: str) -> int:
    """The other process: the tests' own output goes to stderr."""
    lines = Lines(sys.stdout)
    with contextlib.redirect_stdout(sys.stderr):
        tests = house.find_unittests(pathlib.Path(folder), files)
        house.run_unittests(lines, [test for test in tests if re.search(pattern, f"{prefix}.{test.id()}")])
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
