#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Line coverage of some files by a fuzz target's committed corpus or by tests, with gcov.

  tools/coverage.py --parsers --at-least 85                       what every parser's corpus reaches of it
  tools/coverage.py models/gguf.cc --fuzz gguf_fuzz               what the committed corpus reaches
  tools/coverage.py models/gguf.cc --fuzz gguf_fuzz --corpus DIR  what another corpus reaches
  tools/coverage.py models/sampler.cc --tests '^models.Sampler'   what these tests reach

For a corpus only these files are compiled anew, into build/coverage/TARGET; the rest is build/dev's.
"""
import argparse
import collections
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_files  # noqa: E402

ROOT = source_files.ROOT
DEV = ROOT / "build/dev"  # has an object for each file
BUILD = ROOT / "build/coverage"
# What reads bytes from outside, and the target that feeds it any.
PARSERS = {
    "answer_parser_fuzz": ["models/answer_parser.cc"],
    "ebnf_fuzz": ["text/grammar/ebnf.cc"],
    "http_connection_fuzz": ["serving/http/detail/request_parser.cc"],
    "json_fuzz": ["text/json.cc"],
    "json_schema_fuzz": ["text/grammar/json_schema.cc", "text/grammar/json_schema_apart.cc",
                         "text/grammar/json_schema_merge.cc",
                         "text/grammar/json_number.cc"],
    "multipart_fuzz": ["serving/http/multipart.cc"],
    "outline_grammar_fuzz": ["reasoning/outline_grammar.cc", "reasoning/outline_check.cc", "reasoning/outline_tags.cc"],
    "regex_fuzz": ["text/grammar/regex.cc"],
    "spawn_grammar_fuzz": ["reasoning/spawn_grammar.cc", "reasoning/search_trace.cc"],
    "sse_fuzz": ["serving/http/sse.cc"],
}


def instrumented(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Compiles `file` as build/dev does, with counters and without optimisation; returns the object."""
    commands = json.loads((DEV / "compile_commands.json").read_text(encoding="utf-8"))
    command = shlex.split(next(entry["command"] for entry in commands if entry["file"] == str(file)))
    kept, skip = [], False
    for word in command:
        if not skip and word not in ("-include", "-o", "-c"):
            kept.append(word)
        skip = word in ("-include", "-o", "-c")
    compiler = next(i for i, word in enumerate(kept) if not word.endswith("ccache"))
    wanted = [word for word in kept[compiler:] if not re.match(r"-O\d|-Werror|-Winvalid-pch", word)]
    output = folder / (file.name + ".o")
    subprocess.run([*wanted, "-O0", "--coverage", "-c", file, "-o", output], cwd=folder, check=True)
    return output


def run_corpus(target: str, files: list[str], corpus: pathlib.Path | None) -> pathlib.Path:
    """Runs `target` on its corpus with counters in `files`; returns the folder of the counts."""
    subprocess.run([ROOT / "tools/setup.sh", "build", "dev", target], check=True)
    folder = BUILD / target
    folder.mkdir(parents=True, exist_ok=True)
    for counters in folder.glob("*.gc*"):
        counters.unlink()
    objects = [instrumented(ROOT / "src" / name, folder) for name in files]
    link = subprocess.run(["ninja", "-C", DEV, "-t", "commands", target], capture_output=True, text=True,
                          check=True).stdout.strip().splitlines()[-1]
    words = shlex.split(link.removeprefix(": && ").removesuffix(" && :"))
    output = words.index("-o")
    words[output + 1:output + 2] = [str(folder / target), *map(str, objects), "--coverage"]
    subprocess.run(words, cwd=DEV, check=True)
    area = next((ROOT / "src").glob(f"*/**/{target}.cc")).relative_to(ROOT / "src").parts[0]
    corpus = corpus or ROOT / "src" / area / "corpus" / target.removesuffix("_fuzz")
    subprocess.run([folder / target, corpus], check=True, stdout=subprocess.DEVNULL)
    return folder


def run_tests(pattern: str) -> pathlib.Path:
    subprocess.run([ROOT / "tools/setup.sh", "build", "coverage"], check=True)
    for counters in BUILD.rglob("*.gcda"):
        counters.unlink()
    subprocess.run(["ctest", "--test-dir", BUILD, "--quiet", "-R", pattern], check=True)
    return BUILD


def line_counts(build: pathlib.Path, files: list[str]) -> dict[str, dict[int, int]]:
    """For each file, how often each of its lines with code ran, summed over all objects that hold it."""
    counts = {name: collections.Counter() for name in files}
    objects = sorted(build.rglob("*.gcda"))
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


def say(counts: dict[str, dict[int, int]]) -> float:
    """Prints a line for each file; returns the share of lines that were reached, in percent."""
    reached = total = 0
    for name, lines in counts.items():
        missed = sorted(number for number, count in lines.items() if count == 0)
        reached += len(lines) - len(missed)
        total += len(lines)
        share = 100 * (len(lines) - len(missed)) / len(lines) if lines else 0
        print(f"{name}: {len(lines) - len(missed)} of {len(lines)} lines, {share:.1f} %; not reached: "
              f"{ranges(missed) or 'none'}")
    return 100 * reached / total if total else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="AREA/FILE")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--parsers", action="store_true")
    how.add_argument("--fuzz", metavar="TARGET")
    how.add_argument("--tests", metavar="RE")
    parser.add_argument("--corpus", type=pathlib.Path)
    parser.add_argument("--at-least", type=float, default=0, metavar="PERCENT", help="fail below this share")
    options = parser.parse_args()
    if options.parsers:
        shares = [say(line_counts(run_corpus(target, files, None), files)) for target, files in PARSERS.items()]
    elif not options.files:
        parser.error("which files?")
    elif options.fuzz:
        shares = [say(line_counts(run_corpus(options.fuzz, options.files, options.corpus), options.files))]
    else:
        shares = [say(line_counts(run_tests(options.tests), options.files))]
    return 0 if min(shares) >= options.at_least and min(shares) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
