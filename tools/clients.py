#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs tests/clients: the server with clients that others wrote. Their libraries live in build/clients-venv. Larger
clients, with hundreds of megabytes of libraries, are in tests/clients/heavy and live in build/heavy-clients-venv.

  tools/clients.py FOLDER FILES RE   runs the tests of FOLDER/FILES whose name matches; prints a line of JSON for each

./test runs this in processes of their own: with the Python of the environment, and so that nothing can hang it.
"""
import contextlib
import dataclasses
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
SECONDS_MAX = 600
UNREACHABLE = re.compile("NewConnectionError|NameResolutionError|name resolution|Timeout|from versions: none")
sys.path.insert(0, str(FOLDER))  # tests of all folders use server.py


@dataclasses.dataclass(frozen=True)
class Group:
    """Tests that share an environment."""
    folder: pathlib.Path
    environment: pathlib.Path
    alone: frozenset[str]  # files that need no libraries
    install_seconds_max: int

    @property
    def requirements(self) -> pathlib.Path:
        return self.folder / "requirements.txt"

    @property
    def python(self) -> pathlib.Path:
        return self.environment / "bin/python"


ALONE = frozenset({"raw_test", "service_test", "tls_test", "faults_test", "attacks_test", "live_test"})
LIGHT = Group(FOLDER, house.ROOT / "build/clients-venv", ALONE, 300)
HEAVY = Group(FOLDER / "heavy", house.ROOT / "build/heavy-clients-venv", frozenset(), 1200)


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


def run(tally, setup, group: Group = LIGHT) -> None:
    """All files of the group whose tests are wanted. `setup` is run_tests.setup."""
    prefixed = Prefixed(tally)
    files = [path.stem for path in sorted(group.folder.glob("*_test.py"))
             if any(prefixed.wants(test.id()) for test in house.find_unittests(group.folder, path.name))]
    if not files:
        return
    if not setup("build", "release", "plait"):
        prefixed.fails("build")
        return
    problem = None if group.alone.issuperset(files) else prepare(setup, group)
    if problem and not UNREACHABLE.search(problem):
        prefixed.fails(f"{group.folder.name}.libraries", problem)
        files = [name for name in files if name in group.alone]
    elif problem:
        tally.note("PyPI cannot be reached: tests that need client libraries are skipped")
    for name in files:
        run_file(prefixed, sys.executable if problem or name in group.alone else group.python, group, name)


def prepare(setup, group: Group) -> str | None:
    """Makes the environment, unless it is there with just these libraries. What went wrong, or None."""
    stamp = group.environment / "stamp"
    wanted = f"{sys.version}\n{group.requirements.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return None
    if importlib.util.find_spec("ensurepip") is None:
        setup("packages", "clients")
    install = [group.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
               "--retries", "1", "--timeout", "20", "--requirement", group.requirements]
    for command in ([sys.executable, "-m", "venv", "--clear", group.environment], install):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=group.install_seconds_max,
                                  check=False)
        except subprocess.TimeoutExpired:
            return f"ReadTimeout: no end within {group.install_seconds_max} s"
        if done.returncode != 0:
            return (done.stdout + done.stderr)[-3000:]
    stamp.write_text(wanted, encoding="utf-8")
    return None


def run_file(tally: Prefixed, python, group: Group, name: str) -> None:
    """Counts what the other process says about the tests of one file. It has a group of its own, with its servers."""
    command = [python, __file__, group.folder, f"{name}.py", tally.tally.pattern.pattern]
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


def main(folder: str, files: str, pattern: str) -> int:
    """The other process: the tests' own output goes to stderr."""
    lines = Lines(sys.stdout)
    with contextlib.redirect_stdout(sys.stderr):
        tests = house.find_unittests(pathlib.Path(folder), files)
        house.run_unittests(lines, [test for test in tests if re.search(pattern, f"clients.{test.id()}")])
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
