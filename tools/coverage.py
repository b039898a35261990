#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Line coverage of some files by a fuzz target's committed corpus or by tests, with gcov.

  tools/coverage.py models/gguf.cc --fuzz gguf_fuzz               what the committed corpus reaches
  tools/coverage.py models/gguf.cc --fuzz gguf_fuzz --corpus DIR  what another corpus reaches
  tools/coverage.py models/sampler.cc --tests '^models.Sampler'   what these tests reach
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_files  # noqa: E402

ROOT = source_files.ROOT
BUILD = ROOT / "build/coverage"


def build_and_run(options: argparse.Namespace) -> None:
    targets = [options.fuzz] if options.fuzz else []
    subprocess.run([ROOT / "tools/setup.sh", "build", "coverage", *targets], check=True)
    for counters in BUILD.rglob("*.gcda"):
        counters.unlink()
    if options.tests:
        subprocess.run(["ctest", "--test-dir", BUILD, "--quiet", "-R", options.tests], check=True)
        return
    source = next((ROOT / "src").glob(f"*/**/{options.fuzz}.cc"))
    area = source.relative_to(ROOT / "src").parts[0]
    corpus = options.corpus or ROOT / "src" / area / "corpus" / options.fuzz.removesuffix("_fuzz")
    subprocess.run([BUILD / options.fuzz, corpus], check=True, stdout=subprocess.DEVNULL)


def line_counts(files: list[str]) -> dict[str, dict[int, int]]:
    """For each file, how often each of its lines with code ran, summed over all objects that hold it."""
    counts = {name: collections.Counter() for name in files}
    objects = sorted(BUILD.rglob("*.gcda"))
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(objects), 50):
            output = subprocess.run(["gcov", "--json-format", "--stdout", *objects[start:start + 50]], cwd=folder,
                                    capture_output=True, text=True, check=True).stdout
            for report in output.splitlines():
                add_report(counts, json.loads(report))
    return counts


def add_report(counts: dict[str, collections.Counter], report: dict) -> None:
    for file in report["files"]:
        for name, lines in counts.items():
            if file["file"].endswith("src/" + name):
                for line in file["lines"]:
                    lines[line["line_number"]] += line["count"]


def ranges(numbers: list[int]) -> str:
    """[3, 4, 5, 9] as 3-5 9."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="AREA/FILE")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--fuzz", metavar="TARGET")
    how.add_argument("--tests", metavar="RE")
    parser.add_argument("--corpus", type=pathlib.Path)
    parser.add_argument("--at-least", type=float, default=0, metavar="PERCENT", help="fail below this share, all files")
    options = parser.parse_args()
    build_and_run(options)
    reached = total = 0
    for name, lines in line_counts(options.files).items():
        missed = sorted(number for number, count in lines.items() if count == 0)
        reached += len(lines) - len(missed)
        total += len(lines)
        share = 100 * (len(lines) - len(missed)) / len(lines) if lines else 0
        print(f"{name}: {len(lines) - len(missed)} of {len(lines)} lines, {share:.1f} %; not reached: "
              f"{ranges(missed) or 'none'}")
    share = 100 * reached / total if total else 0
    print(f"all: {reached} of {total} lines, {share:.1f} %")
    return 0 if total and share >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
