#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the GGUF fuzz target finds what it is for.

In copies of the reader one bound is removed at a time. The fuzzer starts from one small valid file, not from the
committed corpus, and must find the read past the end within the given seconds.

  tools/planted_bug.py [SECONDS]
"""
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILER = ["clang++-19", "-std=c++23", "-O1", "-g1", "-fsanitize=fuzzer,address,undefined", "-DFMT_SHARED"]
READER = ["models/gguf.cc", "models/detail/gguf_parse.cc"]
REST = [
    "models/gguf_open.cc", "models/gguf_fuzz.cc", "tensor/type.cc", "tensor/dequantise.cc", "text/utf8.cc",
    "os/file.cc", "os/mapped_file.cc", "base/check.cc", "base/result.cc", "base/units.cc",
]
# What is broken: file, text, its replacement.
BUGS = {
    "a field may lie beyond the end": (
        "models/detail/gguf_parse.h", "if (length > remaining()) return false;", ""),
    "a tensor may end beyond the file": (
        "models/detail/gguf_parse.cc", " || tensor.bytes > room - tensor.offset", ""),
    "a boolean may be cut off": (
        "models/gguf.cc", "load<std::uint8_t>(bytes) != 0", "load<std::uint64_t>(bytes) != 0"),
}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def valid_file() -> bytes:
    entries = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
        text("scores") + struct.pack("<IIQff", 9, 6, 2, 0.0, 1.0),
        text("flag") + struct.pack("<IB", 7, 1),
    ]
    tensor = text("t") + struct.pack("<IQQIQ", 2, 32, 2, 2, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(entries)) + b"".join(entries) + tensor
    return head + bytes(-len(head) % 32) + bytes(2 * 18)


def compiled(sources: pathlib.Path, names: list[str], work: pathlib.Path) -> list[pathlib.Path]:
    """One object in `work` for each source."""
    objects = []
    for name in names:
        objects.append(work / (name.replace("/", "_") + ".o"))
        subprocess.run([*COMPILER, f"-I{sources}", "-c", sources / name, "-o", objects[-1]], check=True)
    return objects


def seconds_to_find(work: pathlib.Path, rest: list[pathlib.Path], bug: tuple[str, str, str],
                    limit: int) -> float | None:
    """Seconds until the fuzzer reports an error in a copy with `bug`; nothing if it does not within `limit`."""
    shutil.copytree(ROOT / "src", work / "src", ignore=shutil.ignore_patterns("corpus", "testdata"))
    path, old, new = work / "src" / bug[0], bug[1], bug[2]
    source = path.read_text()
    if old not in source:
        sys.exit(f"{bug[0]}: nothing to break: {old!r} is not there; bring the list up to date")
    path.write_text(source.replace(old, new))
    objects = rest + compiled(work / "src", READER, work)
    subprocess.run([*COMPILER, *objects, "-lfmt", "-o", work / "fuzz"], check=True)
    (work / "seeds").mkdir()
    (work / "seeds/valid").write_bytes(valid_file())
    start = time.monotonic()
    run = subprocess.run([work / "fuzz", f"-max_total_time={limit}", "-max_len=1024", "-seed=1", "seeds"], cwd=work,
                         capture_output=True, text=True, errors="replace")
    found = run.returncode != 0 and ("ERROR: AddressSanitizer" in run.stderr or "runtime error" in run.stderr)
    return time.monotonic() - start if found else None


def main() -> int:
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    missed = 0
    with tempfile.TemporaryDirectory() as shared:
        rest = compiled(ROOT / "src", REST, pathlib.Path(shared))
        for name, bug in BUGS.items():
            with tempfile.TemporaryDirectory() as folder:
                seconds = seconds_to_find(pathlib.Path(folder), rest, bug, limit)
            print(f"{name}: " + (f"found after {seconds:.1f} s" if seconds is not None else f"NOT found in {limit} s"),
                  flush=True)
            missed += seconds is None
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
