# SPDX-License-Identifier: Apache-2.0
"""Checks that need a program: the format (clang-format-19) and headers that stand on their own (the compiler).

Results are remembered by content in build/checks/, so that a second run costs nothing.
"""
import concurrent.futures
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_files  # noqa: E402

FORMATTER = "clang-format-19"


class Remembered:
    """A set of keys known to be good, kept in a file below build/. Losing it costs time only."""

    def __init__(self, root: pathlib.Path, name: str):
        self.file = root / "build/checks" / name
        self.known = set(self.file.read_text(encoding="utf-8").split()) if self.file.exists() else set()
        self.used: set[str] = set()

    def has(self, key: str) -> bool:
        self.used.add(key)
        return key in self.known

    def save(self, good: set[str]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_suffix(f".{os.getpid()}")
        draft.write_text("\n".join(sorted(good)) + "\n", encoding="utf-8")
        draft.replace(self.file)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def sources(root: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in source_files.listed(root) if path.suffix in source_files.CPP]


def _check_each(root: pathlib.Path, name: str, keyed: dict[str, pathlib.Path], command, complaint) -> list[str]:
    """Runs command(path) for every key that is not known to be good; complaint(path, output) words a failure."""
    memory = Remembered(root, name)
    todo = {key: path for key, path in keyed.items() if not memory.has(key)}
    if not todo:
        return []

    def run(item):
        key, path = item
        done = subprocess.run(command(path), capture_output=True, text=True, errors="replace", check=False, cwd=root)
        return key, path, done.returncode, done.stdout + done.stderr

    problems, good = [], (memory.used & memory.known)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for key, path, status, output in pool.map(run, todo.items()):
            if status == 0:
                good.add(key)
            else:
                problems.append(complaint(path, output))
    memory.save(good)
    return problems


def check_format(root: pathlib.Path) -> list[str]:
    if not shutil.which(FORMATTER):
        return [f"{FORMATTER} is not installed; run: tools/setup.sh packages format"]
    style = (root / ".clang-format").read_bytes()
    keyed = {_digest(style, path.as_posix().encode(), (root / path).read_bytes()): path for path in sources(root)}
    return _check_each(root, "format", keyed, lambda path: [FORMATTER, "--dry-run", "-Werror", path],
                       lambda path, output: f"{path}: not formatted; run tools/check --fix")


def fix_format(root: pathlib.Path) -> None:
    files = sources(root)
    for start in range(0, len(files), 64):
        subprocess.run([FORMATTER, "-i", *files[start:start + 64]], check=True, cwd=root)


def check_headers(root: pathlib.Path, compiler: str = "g++") -> list[str]:
    """Every header compiles alone. Where x.cc includes x.h first, building x.cc proves it; others are compiled here."""
    keyed, known = {}, {}
    for path in sources(root):
        if path.suffix != ".h" or path.parts[0] != "src" or (root / path.with_suffix(".cc")).exists():
            continue
        reached = sorted(source_files.reached(root, path, known))
        parts = [part for name in reached for part in (name.as_posix().encode(), (root / name).read_bytes())]
        keyed[_digest(compiler.encode(), *parts)] = path

    def command(path):
        # Not the header itself as the main file: compilers warn about #pragma once in a main file.
        return [compiler, "-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Isrc", "-include", path,
                "-x", "c++", "/dev/null"]

    return _check_each(root, "headers", keyed, command, lambda path, output: (
        f"{path}: does not compile on its own; include what it uses\n    " + "\n    ".join(output.split("\n")[:6])))
