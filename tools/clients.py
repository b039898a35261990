# SPDX-License-Identifier: Apache-2.0
"""Runs tests/clients: the server with clients that others wrote. Their libraries live in build/clients-venv. Larger
clients, with hundreds of megabytes of libraries, are in tests/clients/heavy and live in build/heavy-clients-venv.

./test calls it; tools/test_process.py is what runs each file with the Python of its environment.
"""
import dataclasses
import importlib.util
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import house  # noqa: E402
import test_process  # noqa: E402

FOLDER = house.ROOT / "tests/clients"
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


ALONE = frozenset({"raw_test", "service_test", "tls_test", "faults_test", "attacks_test", "live_test",
                   "learners_test"})
LIGHT = Group(FOLDER, house.ROOT / "build/clients-venv", ALONE, 300)
HEAVY = Group(FOLDER / "heavy", house.ROOT / "build/heavy-clients-venv", frozenset(), 1200)


def run(tally, setup, group: Group = LIGHT) -> None:
    """All files of the group whose tests are wanted. `setup` is run_tests.setup."""
    prefixed = test_process.Prefixed(tally, "clients")
    files = test_process.wanted_files(prefixed, group.folder)
    if not files:
        return
    if not setup("build", "release", "plait", "schema_probe"):
        prefixed.fails("build")
        return
    problem = None if group.alone.issuperset(files) else prepare(setup, group)
    if problem and not UNREACHABLE.search(problem):
        prefixed.fails(f"{group.folder.name}.libraries", problem)
        files = [name for name in files if name in group.alone]
    elif problem:
        tally.note("PyPI cannot be reached: tests that need client libraries are skipped")
    for name in files:
        python = sys.executable if problem or name in group.alone else group.python
        test_process.run(prefixed, python, group.folder, f"{name}.py", module_path=FOLDER)


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
