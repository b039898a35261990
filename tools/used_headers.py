# SPDX-License-Identifier: Apache-2.0
"""What a file uses of the headers that the build precompiles, it includes, itself or through the project's headers.

The compiler no longer misses such an include: cmake/precompiled.cmake has parsed the header before the file begins.
"""
import pathlib
import re

import source_files

# The header and what only it brings. <algorithm> and <utility> come with others: no compiler would miss them.
USES = {
    "chrono": r"std::chrono::|chrono_literals",
    "expected": r"std::(expected|unexpected)\b",
    "filesystem": r"std::filesystem::",
    "functional": r"std::function\b",
    "map": r"std::(multi)?map\b",
    "memory": r"std::((unique|shared|weak)_ptr|make_(unique|shared))\b",
    "optional": r"std::(optional|nullopt|make_optional)\b",
    "span": r"std::span\b",
    "string": r"std::(string|to_string|getline)\b",
    "string_view": r"std::string_view\b",
    "unordered_map": r"std::unordered_map\b",
    "variant": r"std::(variant|visit|monostate|get_if|holds_alternative)\b",
    "vector": r"std::vector\b",
    "fmt/format.h": r"\bfmt::(format|format_to|join)\b",
    "nlohmann/json.hpp": r"\bnlohmann::",
}
# Headers of libstdc++ and of packages that bring another one, so says their standard or their documentation.
BRING = {"string": {"string_view"}, "fmt/ranges.h": {"fmt/format.h"}, "map": {"optional"}, "nlohmann/json.hpp": {
    "map", "memory", "string", "string_view", "vector", "functional", "optional"},
    "filesystem": {"string", "string_view", "memory", "chrono"}}
WITNESSES = {name: re.compile(pattern) for name, pattern in USES.items()}


def check(root: pathlib.Path) -> list[str]:
    known: dict[pathlib.Path, tuple[set[str], list[pathlib.Path]]] = {}
    problems = []
    for path in source_files.listed(root):
        if path.parts[0] != "src" or path.suffix not in (".h", ".cc"):
            continue
        present = _reached(root, path, known)
        text = source_files.without_comments(source_files.read(root / path) or "")
        problems += [f"{path}: uses what <{name}> has and does not include it"
                     for name, witness in WITNESSES.items() if name not in present and witness.search(text)]
    return problems


def _direct(root: pathlib.Path, path: pathlib.Path) -> tuple[set[str], list[pathlib.Path]]:
    """Names of the system's headers, and the project's files, that a file includes."""
    found = source_files.includes(source_files.read(root / path) or "")
    system = {include.name for include in found if not include.quoted}
    return system, [pathlib.Path("src") / include.name for include in found if include.quoted]


def _reached(root: pathlib.Path, path: pathlib.Path, known: dict) -> set[str]:
    """The system's headers that a file includes, directly or through the project's."""
    todo, seen, system = [path], set(), set()
    while todo:
        one = todo.pop()
        if one in seen or not (root / one).is_file():
            continue
        seen.add(one)
        if one not in known:
            known[one] = _direct(root, one)
        system |= known[one][0]
        todo += known[one][1]
    return system.union(*(BRING.get(name, set()) for name in system))
