#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All tests of the repository, in the order in which they fail fastest. ./test prepares the packages and calls this.

The last line on stdout is "N passed, N failed, N skipped". Exit code 1 when anything failed or when nothing ran.
"""
import argparse
import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import clients  # noqa: E402
import documents  # noqa: E402
import house  # noqa: E402
import long_report  # noqa: E402
import test_process  # noqa: E402

ROOT = house.ROOT
FUZZ_SECONDS = 5
LONG_FUZZ_SECONDS = 600
# The other areas' targets link the engine, half an hour of building with sanitizers on two slow cores: ./test replays
# their corpora with the ordinary build, --fuzz and --long fuzz them.
FUZZ_AREAS = "text|store|hub|load|operations|models"
LONG_LOAD_SECONDS = 1800
TSAN_AREAS = "parallel|kernels|os|hub|store|index|engine|serving|evaluation"
MODELS = ["smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]
# Every finding ends the program with an error; a huge allocation fails as it would without the sanitizer.
SANITIZER = {
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


class Tally:
    """Counts results and prints the ones worth reading."""

    def __init__(self, pattern: str):
        self.pattern = re.compile(pattern)
        self.passed = self.failed = self.skipped = 0
        self.failures: list[str] = []
        self.reasons: dict[str, int] = {}
        self.notes: list[str] = []
        self.sections: list[tuple[str, int, int, int, float]] = []  # title, passed, failed, skipped, seconds

    def counts(self) -> tuple[int, int, int]:
        return self.passed, self.failed, self.skipped

    @contextlib.contextmanager
    def section(self, title: str):
        """Everything counted inside belongs to this part of the report."""
        print(f"== {title}", flush=True)
        before, started = self.counts(), time.monotonic()
        yield
        taken = time.monotonic() - started
        self.sections.append((title, *(now - then for now, then in zip(self.counts(), before)), taken))
        print(f"   took {taken:.0f} s", flush=True)

    def note(self, text: str) -> None:
        """A line worth keeping in the report."""
        self.notes.append(text)
        print(text, flush=True)

    def wants(self, name: str) -> bool:
        return self.pattern.search(name) is not None

    def passes(self, name: str) -> None:
        self.passed += 1

    def fails(self, name: str, detail: str = "") -> None:
        self.failed += 1
        self.failures.append(name)
        print(f"FAILED {name}")
        if detail.strip():
            print("  " + detail.strip().replace("\n", "\n  "))
        sys.stdout.flush()

    def skips(self, name: str, reason: str) -> None:
        self.skipped += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def add(self, other: "Tally") -> None:
        """Takes over what another one counted."""
        self.passed, self.failed, self.skipped = (a + b for a, b in zip(self.counts(), other.counts()))
        self.failures += other.failures
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count

    def finish(self) -> int:
        for reason, count in sorted(self.reasons.items()):
            print(f"skipped {count}: {reason}")
        for name in self.failures:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 0 if self.failed == 0 and self.passed > 0 else 1


def setup(*arguments: str) -> bool:
    """tools/setup.sh: packages, build, model. What it says is for people and goes to stderr."""
    return subprocess.run([ROOT / "tools/setup.sh", *arguments], check=False).returncode == 0


def run_house(tally: Tally) -> None:
    for name, check in house.CHECKS.items():
        if not tally.wants(f"house.{name}"):
            continue
        if name == "format" and not setup("packages", "format"):
            tally.skips(f"house.{name}", "clang-format-19 is not installed")
        elif problems := check(ROOT):
            tally.fails(f"house.{name}", "\n".join(problems))
        else:
            tally.passes(f"house.{name}")
    house.run_unittests(tally, house.find_unittests(ROOT / "tests/house"))


def test_environment() -> dict[str, str]:
    return {**os.environ, **{key: os.environ.get(key, value) for key, value in SANITIZER.items()}}


def run_ctest(tally: Tally, preset: str, pattern: str) -> None:
    """Builds and runs every registered test of build/PRESET; `pattern` narrows further than the filter of the user."""
    if not setup("build", preset):
        tally.fails(f"build.{preset}")
        return
    directory = ROOT / "build" / preset
    report = directory / "junit.xml"
    report.unlink(missing_ok=True)
    jobs = str(len(os.sched_getaffinity(0)))
    command = ["ctest", "--test-dir", directory, "-j", jobs, "--output-junit", report, "--quiet",
               "--no-tests=ignore", "-R", pattern]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=test_environment(), check=False)
    if not report.exists():
        tally.fails(f"ctest.{preset}", "ctest wrote no report; run it by hand: ctest --test-dir " + str(directory))
        return
    count_junit(tally, report)


def count_junit(tally: Tally, report: pathlib.Path) -> None:
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name, status = case.get("name", ""), case.get("status", "")
        if not tally.wants(name):
            continue
        output = case.findtext("system-out") or ""
        if status == "run":
            tally.passes(name)
        elif status == "notrun" or status == "disabled" or case.find("skipped") is not None:
            tally.skips(name, skip_reason(output))
        else:
            failure = case.find("failure")
            tally.fails(name, (failure.get("message", "") if failure is not None else "") + "\n" + output[-6000:])


def skip_reason(output: str) -> str:
    """The text that a test gave to GTEST_SKIP(), else a general word."""
    match = re.search(r"Skipped\n(.*)", output)
    return match.group(1).strip() if match and match.group(1).strip() else "not run by ctest"


def fuzz_targets(areas: str) -> dict[str, pathlib.Path]:
    """Target name to corpus folder, from the sources src/<area>/x_fuzz.cc of these areas."""
    targets = {}
    for source in sorted((ROOT / "src").glob("*/**/*_fuzz.cc")):
        area = source.relative_to(ROOT / "src").parts[0]
        if re.fullmatch(areas, area):
            targets[source.stem] = ROOT / "src" / area / "corpus" / source.stem.removesuffix("_fuzz")
    return targets


def run_fuzz(tally: Tally, seconds: int, areas: str) -> None:
    directory = ROOT / "build/fuzz"
    targets = {name: corpus for name, corpus in fuzz_targets(areas).items() if tally.wants(f"fuzz.{name}")}
    if not targets:
        return
    if not setup("packages", "fuzz"):
        for name in targets:
            tally.skips(f"fuzz.{name}", "clang-19 and libclang-rt-19-dev are not installed")
        return
    if not setup("build", "fuzz", *targets):
        tally.fails("build.fuzz")
        return
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs = [(name, pool.submit(fuzz_one, directory, name, corpus, seconds)) for name, corpus in targets.items()]
        for name, run in runs:
            finding, note = run.result()
            if finding:
                tally.fails(f"fuzz.{name}", finding)
            else:
                tally.passes(f"fuzz.{name}")
                tally.note(note)


def fuzz_one(directory: pathlib.Path, name: str, corpus: pathlib.Path, seconds: int) -> tuple[str, str]:
    """Runs one target; returns what it found, or else nothing and a line about the run."""
    found = directory / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    grown = directory / "grown" / name  # what a run adds stays out of the committed corpus
    grown.mkdir(parents=True, exist_ok=True)
    command = [directory / name, f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=4096", "-verbosity=0",
               "-print_final_stats=1", f"-artifact_prefix={found}/", grown, corpus]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=test_environment(),
                              timeout=seconds + 120, check=False)
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds + 120} s", ""
    if done.returncode != 0:
        return done.stderr[-6000:] + f"\nthe input is in {found}", ""
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return "", f"{name}: {runs.group(1) if runs else '?'} inputs in {seconds} s, no finding"


def take_lock():
    """One ./test at a time in a checkout: two would write the same reports."""
    (ROOT / "build").mkdir(exist_ok=True)
    lock = open(ROOT / "build/.test.lock", "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("plait: another ./test of this checkout is running; waiting for it", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./test", description="Runs all tests.")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--asan", action="store_true", help="the tests under address and undefined-behaviour checks")
    kind.add_argument("--tsan", action="store_true", help=f"the tests of {TSAN_AREAS} under data-race checks")
    kind.add_argument("--fuzz", type=int, metavar="SECONDS", help="only the fuzz targets, so long each")
    kind.add_argument("--clients", action="store_true", help="only clients that others wrote, the large ones as well")
    kind.add_argument("--long", nargs="*", metavar="PART", choices=LONG_PARTS,
                      help="what takes longer, all of it or some of " + ", ".join(LONG_PARTS) +
                      "; writes docs/reports/long.md")
    parser.add_argument("--filter", default="", metavar="RE", help="only tests whose name matches")
    parser.add_argument("--all-models", action="store_true", help="fetch and use all models, not only the default one")
    return parser.parse_args()


def fetch_models(tally: Tally, names: list[str]) -> None:
    for name in names:
        plait = ROOT / "build/release/plait"
        done = subprocess.run([plait, "model", "pull", name], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tally.fails(f"model.{name}", done.stderr[-2000:])


def run_tidy(tally: Tally) -> None:
    with tally.section("clang-tidy"):
        if not setup("packages", "tidy"):
            tally.skips("tidy", "clang-tidy-19 is not installed")
        elif setup("build", "tidy"):
            tally.passes("tidy")
        else:
            tally.fails("tidy", "clang-tidy complains; see build/tidy.log")


def run_ordinary(tally: Tally, options: argparse.Namespace) -> None:
    """All but the fuzz targets."""
    with tally.section("house"):
        run_house(tally)
    with tally.section("tests"):
        if setup("build", "release", "plait"):
            setup("model")
            if options.all_models or options.long is not None:
                fetch_models(tally, MODELS)
        run_ctest(tally, "release", options.filter or ".")
    with tally.section("installed and packaged"):
        house.run_unittests(tally, house.find_unittests(ROOT / "tests/install"))
    with tally.section("the page in a browser"):
        run_page(tally)
    with tally.section("blocks of the documents"):
        documents.run_blocks(tally, ROOT, ROOT / "build/release")
    with tally.section("clients"):
        clients.run(tally, setup)


def run_fuzz_section(tally: Tally, seconds: int, areas: str = ".*") -> None:
    with tally.section(f"fuzz targets, {seconds} s each"):
        run_fuzz(tally, seconds, areas)


def run_large_clients(tally: Tally) -> None:
    with tally.section("large clients"):
        clients.run(tally, setup, clients.HEAVY)


def run_page(tally: Tally) -> None:
    """The tests themselves say what they lack, and are skipped."""
    prefixed, folder = test_process.Prefixed(tally, "page"), ROOT / "tests/page"
    if not test_process.wanted_files(prefixed, folder):
        return
    setup("packages", "browser")
    debian = pathlib.Path("/usr/bin/python3")  # Debian's Selenium is for Debian's Python
    test_process.run(prefixed, debian if debian.exists() else sys.executable, folder, "*_test.py")


def run_asan(tally: Tally, options: argparse.Namespace) -> None:
    with tally.section("tests with address and undefined-behaviour checks"):
        run_ctest(tally, "asan", options.filter or ".")


def run_tsan(tally: Tally) -> None:
    with tally.section("tests with data-race checks"):
        run_ctest(tally, "tsan", rf"^({TSAN_AREAS})[._]")


def run_tool(tally: Tally, name: str, tool: str, *options: str) -> None:
    """A tool that judges by its exit code. What it prints is noted, up to the details behind a semicolon."""
    command = [sys.executable, ROOT / "tools" / tool, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.strip().splitlines():
        tally.note(line.split(";")[0])
    if done.returncode == 0:
        tally.passes(name)
    else:
        tally.fails(name, done.stderr[-4000:])


def run_load(tally: Tally) -> None:
    """Half an hour of twice what the server can do, of all kinds; tools/long_load.py judges it."""
    if not tally.wants("load"):
        return
    with tally.section(f"mixed load, {LONG_LOAD_SECONDS} s"):
        if not setup("build", "release", "plait"):
            tally.fails("build.release")
            return
        setup("model")
        run_tool(tally, "load", "long_load.py", "--seconds", str(LONG_LOAD_SECONDS))


def run_coverage(tally: Tally) -> None:
    """What the committed corpora reach of the parsers that they are for."""
    with tally.section("lines of parsers that their corpora reach"):
        run_tool(tally, "coverage", "coverage.py", "--parsers", "--at-least", "85")


def run_long_fuzz(tally: Tally) -> None:
    run_fuzz_section(tally, LONG_FUZZ_SECONDS)
    run_coverage(tally)


LONG_PARTS = {
    "tests": run_ordinary,
    "clients": lambda tally, options: run_large_clients(tally),
    "load": lambda tally, options: run_load(tally),
    "fuzz": lambda tally, options: run_long_fuzz(tally),
    "tidy": lambda tally, options: run_tidy(tally),
    "asan": run_asan,
    "tsan": lambda tally, options: run_tsan(tally),
}


def run_long(total: Tally, options: argparse.Namespace) -> None:
    os.environ["PLAIT_LONG"] = "1"  # tests that repeat something do so more often
    for part in options.long or LONG_PARTS:
        tally = Tally(options.filter)
        LONG_PARTS[part](tally, options)
        long_report.write_part(part, options.filter, tally)
        total.add(tally)


def main() -> int:
    options = parse_arguments()
    lock = take_lock()
    started = time.monotonic()
    tally = Tally(options.filter)
    if options.asan:
        run_asan(tally, options)
    elif options.tsan:
        run_tsan(tally)
    elif options.fuzz is not None:
        run_fuzz_section(tally, options.fuzz)
    elif options.clients:
        if setup("build", "release", "plait"):
            setup("model")
        with tally.section("clients"):
            clients.run(tally, setup)
        run_large_clients(tally)
    elif options.long is not None:
        run_long(tally, options)
    else:
        run_ordinary(tally, options)
        run_fuzz_section(tally, FUZZ_SECONDS, FUZZ_AREAS)
    print(f"took {time.monotonic() - started:.0f} s")
    result = tally.finish()
    lock.close()
    return result


if __name__ == "__main__":
    sys.exit(main())
