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
    known: dict[pathlib.Path, list[source_files.Include]] = {}
    problems = []
    for path in source_files.listed(root):
        if path.parts[0] != "src" or path.suffix not in (".h", ".cc"):
            continue
        system = {include.name for file in source_files.reached(root, path, known) for include in known[file]
                  if not include.quoted}
        present = system.union(*(BRING.get(name, set()) for name in system))
        text = source_files.without_comments(source_files.read(root / path) or "")
        problems += [f"{path}: uses what <{name}> has and does not include it"
                     for name, witness in WITNESSES.items() if name not in present and witness.search(text)]
    return problems
