#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the fuzz targets find what they are for.

In a copy of the sources one bound is removed at a time. The target, built with that copy and started from its committed
corpus, must report the read past the end within the given seconds.

  tools/planted_bug.py [SECONDS]
"""
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/fuzz"
# What is broken: target, file, text, its replacement, the sources that see the change.
BUGS = {
    "gguf: a field may lie beyond the end": (
        "gguf_fuzz", "models/detail/gguf_parse.h", "if (length > remaining()) return false;", "",
        ["models/gguf.cc", "models/detail/gguf_parse.cc"]),
    "gguf: a tensor may end beyond the file": (
        "gguf_fuzz", "models/detail/gguf_parse.cc", " || tensor.bytes > room - tensor.offset", "",
        ["models/detail/gguf_parse.cc"]),
    "gguf: a boolean may be cut off": (
        "gguf_fuzz", "models/gguf.cc", "load<std::uint8_t>(bytes) != 0", "load<std::uint64_t>(bytes) != 0",
        ["models/gguf.cc"]),
    "template: a slice beyond the list": (
        "template_fuzz", "text/jinja/operators.cc", "std::clamp(at, low, high)", "std::max(at, low)",
        ["text/jinja/operators.cc"]),
    "template: an index beyond the list": (
        "template_fuzz", "text/jinja/evaluate.cc", "position(index.as_int(), object.seq().items.size())",
        "position(index.as_int(), object.seq().items.size() + 1)", ["text/jinja/evaluate.cc"]),
    "tokenizer: a special token beyond the text": (
        "tokenizer_fuzz", "models/tokenizer_special.cc", "if (end == limit) break;", "",
        ["models/tokenizer_special.cc"]),
    "json: a member beyond the object": (
        "json_fuzz", "text/json.cc", "std::min(members.size(), kLinearMembersMax)", "kLinearMembersMax",
        ["text/json.cc"]),
    "wheel: a directory beyond the archive": (
        "wheel_fuzz", "hub/wheel.cc", "offset <= bytes.size() && length <= bytes.size() - offset",
        "length < ~offset || bytes.empty()", ["hub/wheel.cc"]),
}


def compile_commands() -> dict[str, list[str]]:
    """Source below src/ to its compiler and options, as the fuzz build has them."""
    commands = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        at = words.index("-o")
        while "clang" not in pathlib.Path(words[0]).name:  # a compiler cache in front
            words, at = words[1:], at - 1
        commands[entry["file"].partition("/src/")[2]] = words[:at]
    return commands


def build_broken(folder: pathlib.Path, bug: tuple, commands: dict[str, list[str]]) -> pathlib.Path:
    """The target with the bug in it. Objects of the copy come first, so that the libraries' own are not taken."""
    target, file, old, new, sources = bug
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("corpus", "testdata"))
    text = (folder / "src" / file).read_text()
    if old not in text:
        sys.exit(f"{file}: nothing to break: {old!r} is not there; bring the list up to date")
    (folder / "src" / file).write_text(text.replace(old, new))
    objects = []
    for source in sources:
        words = [word.replace(str(ROOT / "src"), str(folder / "src")) for word in commands[source]]
        objects.append(folder / (source.replace("/", "_") + ".o"))
        subprocess.run([*words, "-o", objects[-1], "-c", folder / "src" / source], check=True, cwd=BUILD)
    link = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", target], check=True, capture_output=True, text=True)
    words = shlex.split(link.stdout.splitlines()[-1].removeprefix(": && ").removesuffix(" && :"))
    at = words.index("-o")
    words[at + 1] = str(folder / target)
    first_object = next(i for i, word in enumerate(words) if word.endswith(".o"))
    subprocess.run([*words[:first_object], *objects, *words[first_object:]], check=True, cwd=BUILD)
    return folder / target


def seconds_to_find(program: pathlib.Path, corpus: pathlib.Path, limit: int) -> float | None:
    """Seconds until the fuzzer reports an error; nothing if it does not within `limit`."""
    start = time.monotonic()
    grown = program.parent / "grown"
    grown.mkdir()
    run = subprocess.run([program, f"-max_total_time={limit}", "-seed=1", grown, corpus], cwd=program.parent,
                         capture_output=True, text=True, errors="replace", check=False)
    # A sanitizer's report, or the abort of a check further on that holds what was let through.
    signs = ("ERROR: AddressSanitizer", "runtime error", "deadly signal")
    found = run.returncode != 0 and any(sign in run.stderr for sign in signs)
    return time.monotonic() - start if found else None


def main() -> int:
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    missed = 0
    for target in sorted({bug[0] for bug in BUGS.values()}):
        subprocess.run([ROOT / "tools/setup.sh", "build", "fuzz", target], check=True)
    commands = compile_commands()
    for name, bug in BUGS.items():
        with tempfile.TemporaryDirectory() as folder:
            program = build_broken(pathlib.Path(folder), bug, commands)
            area = bug[1].partition("/")[0]
            corpus = ROOT / "src" / area / "corpus" / bug[0].removesuffix("_fuzz")
            seconds = seconds_to_find(program, corpus, limit)
        print(f"{name}: " + (f"found after {seconds:.1f} s" if seconds is not None else f"NOT found in {limit} s"),
              flush=True)
        missed += seconds is None
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
