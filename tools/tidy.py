# SPDX-License-Identifier: Apache-2.0
"""How files must look: length, licence line, no leftovers, nothing dead. Each check returns its complaints."""
import ast
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_files  # noqa: E402

LINE_MAX = 120
FUNCTION_MAX = 70
FILE_MAX = 600
HEADER_MAX = 300
SPDX = "SPDX-License-Identifier: Apache-2.0"
SIZE_REASON = re.compile(r"(?://|#) size: \S+")
CODE = {".cc", ".h", ".inc", ".py", ".sh", ".cmake"}

# Where printing is the job. Everywhere else a library reports through its return value.
MAY_PRINT = re.compile(r"^(src/cli/|apps/|bench/)|_(bench|main|test|probe)\.cc$|^src/base/check\.cc$")
PRINTS = re.compile(r"\bstd::(cout|cerr|clog|puts|printf|print|println)\b|(?<![\w:])(printf|puts|putchar|perror)\s*\(|"
                    r"\b(f?print|println|fprintf|fputs|fputc|putc)\s*\([^;]*\b(stderr|stdout)\b")
MAY_EXIT = re.compile(r"^(src/cli/|apps/|bench/)|_(bench|main|test|fuzz|probe)\.cc$|"
                      r"^src/(base/check|os/interrupt|os/process)\.cc$")
EXITS = re.compile(r"\bstd::(exit|quick_exit|_Exit|terminate|abort)\b|"
                   r"(?<![\w:.>])(exit|_exit|abort|quick_exit)\s*\(|\b__builtin_trap\b")
IGNORED_PROPERTY = re.compile(r"[;{}]\s*rc::check\(")  # a statement of its own
# Written so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
MACHINE = re.compile(r"(?<![\w.$}])/(?:wor[k]|roo[t]|home/\w+|Users/\w+)/\w|"
                     r"\b(?:pyp[i]\.org|files\.pythonhosted\.or[g]|npmjs\.co[m]|crates\.i[o]|"
                     r"proxy\.golang\.or[g]|anaconda\.or[g]|deb\.debian\.or[g])")


def is_code(root: pathlib.Path, path: pathlib.Path) -> bool:
    """Source files, and files without an ending that begin with #!."""
    if path.suffix in CODE or path.name == "CMakeLists.txt":
        return True
    return not path.suffix and (source_files.read(root / path) or "").startswith("#!")


def code(root: pathlib.Path):
    for path in source_files.listed(root):
        if is_code(root, path):
            text = source_files.read(root / path)
            if text is not None:
                yield path, text


def check_lengths(root: pathlib.Path) -> list[str]:
    problems = []
    for path, text in code(root):
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_MAX:
                problems.append(f"{path}:{number}: {len(line)} columns, {LINE_MAX} at most; break the line")
        limit = HEADER_MAX if path.suffix == ".h" else FILE_MAX
        if len(lines) - 1 > limit and not SIZE_REASON.search(text):
            problems.append(f"{path}: {len(lines) - 1} lines, {limit} at most; split it by nouns, or say why not in a "
                            "line `// size: reason`")
    return problems


def python_functions(text: str) -> list[source_files.Function]:
    return [source_files.Function(node.lineno, node.end_lineno - node.lineno + 1, node.name)
            for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def check_functions(root: pathlib.Path) -> list[str]:
    problems = []
    for path, text in code(root):
        if path.suffix in source_files.CPP:
            found = source_files.functions(text)
        elif path.suffix == ".py":
            found = python_functions(text)
        else:
            continue
        problems += [f"{path}:{function.line}: a function of {function.lines} lines, {FUNCTION_MAX} at most "
                     f"({function.signature}); take named steps out of it"
                     for function in found if function.lines > FUNCTION_MAX]
    return problems


def check_licence(root: pathlib.Path) -> list[str]:
    return [f"{path}: the first line must be `{'//' if path.suffix in source_files.CPP else '#'} {SPDX}`"
            for path, text in code(root) if not any(SPDX in line for line in text.split("\n")[:2])]


def check_leftovers(root: pathlib.Path) -> list[str]:
    """Debug output, exits in libraries, unfinished work, paths of one machine, hosts of package registries."""
    problems = []
    for path, text in code(root):
        if path.suffix in source_files.CPP:
            bare = source_files.without_comments(text).split("\n")
            for number, line in enumerate(bare, 1):
                if not MAY_PRINT.search(path.as_posix()) and PRINTS.search(line):
                    problems.append(f"{path}:{number}: a library does not print; return a Result, or print in cli")
                if not MAY_EXIT.search(path.as_posix()) and EXITS.search(line):
                    problems.append(f"{path}:{number}: a library does not end the program; "
                                    "return a Result, or use base/check.h")
    for path in source_files.listed(root):
        text = source_files.read(root / path)
        for number, line in enumerate(text.split("\n") if text else [], 1):
            if UNFINISHED.search(line) and "corpus" not in path.parts:
                problems.append(f"{path}:{number}: unfinished work; finish it, or open an issue and drop the note")
            if found := MACHINE.search(line):
                problems.append(f"{path}:{number}: {found.group()} belongs to one machine or registry; take it out")
    return problems


def check_own_header_first(root: pathlib.Path) -> list[str]:
    """x.cc includes x.h first, which is how the build proves that x.h stands on its own."""
    problems = []
    for path in source_files.listed(root):
        header = path.with_suffix(".h")
        if path.suffix != ".cc" or path.parts[0] != "src" or not (root / header).exists():
            continue
        first = source_files.includes(source_files.read(root / path) or "")[:1]
        name = header.relative_to("src").as_posix()
        if not first or first[0].name != name:
            problems.append(f'{path}: its first include must be "{name}"')
    return problems


def check_properties(root: pathlib.Path) -> list[str]:
    """rc::check() returns false where a property does not hold; on its own it fails no test."""
    problems = []
    for path, text in code(root):
        bare = source_files.without_comments(text) if path.suffix in source_files.CPP else ""
        for match in IGNORED_PROPERTY.finditer(bare):
            line = bare.count("\n", 0, match.end()) + 1
            problems.append(f"{path}:{line}: a property that fails nothing; EXPECT_TRUE(rc::check(…))")
    return problems


def check_dependencies(root: pathlib.Path) -> list[str]:
    """Every package that the set-up may install has a line in docs/dependencies.md."""
    script = source_files.read(root / "tools/setup.sh") or ""
    page = source_files.read(root / "docs/dependencies.md") or ""
    entries = " ".join(re.findall(r"^\w+_packages=\((.*?)\)", script, re.M | re.S)).split()
    return [f"docs/dependencies.md: no line about `{name}`, which tools/setup.sh installs; say why it is needed"
            for name in (entry.split("/")[0] for entry in entries) if f"`{name}`" not in page]


def _mentions(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """The text of every file that may name another one: data does not."""
    data = {".svg", ".json", ".txt", ".jsonl"}
    return {path: source_files.read(root / path) or "" for path in source_files.listed(root)
            if path.name == "CMakeLists.txt" or (path.suffix not in data and "corpus" not in path.parts)}


def _dead_sources(root: pathlib.Path, files: list[pathlib.Path], texts: dict[pathlib.Path, str]) -> list[str]:
    problems = []
    included = {include.name for path, text in texts.items() if path.suffix in source_files.CPP
                for include in source_files.includes(text) if include.quoted}
    built_by_name = "\n".join(text for path, text in texts.items()
                              if path.suffix == ".cmake" or path.name == "CMakeLists.txt")
    for path in files:
        header = path.suffix in (".h", ".inc") and path.parts[0] == "src"
        if header and path.relative_to("src").as_posix() not in included:
            problems.append(f"{path}: nobody includes it; remove it or use it")
        by_glob = path.parts[0] == "src" and not path.stem.endswith("_main")
        by_script = any(path.name in text for script, text in texts.items()  # bench/ builds peers of its own
                        if script.suffix == ".py" and script.parent == path.parent)
        if path.suffix == ".cc" and not by_glob and not by_script and path.as_posix() not in built_by_name:
            problems.append(f"{path}: no CMake file builds it; remove it or name it there")
    return problems


def _dead_data(files: list[pathlib.Path], texts: dict[pathlib.Path, str]) -> list[str]:
    """Corpora without a fuzz target, and test data that no source of its area names, nor a folder above it."""
    problems = []
    areas = {}
    for path, text in texts.items():
        areas.setdefault(path.parts[:2], []).append(text)
    for path in files:
        if path.parts[0] != "src" or path.suffix in {*source_files.CPP, ".py", ".md"}:
            continue
        if "corpus" in path.parts:
            subject = path.parts[path.parts.index("corpus") + 1]
            if not any(file.parts[:2] == path.parts[:2] and file.name == f"{subject}_fuzz.cc" for file in files):
                problems.append(f"{path}: no {subject}_fuzz.cc reads this corpus; remove or rename one of them")
            continue
        names = [path.name, path.stem, *path.parts[2:-1]]
        known = "\n".join(areas.get(path.parts[:2], []))
        if not any(re.search(rf"\b{re.escape(name)}\b", known) for name in names):
            problems.append(f"{path}: no source in {'/'.join(path.parts[:2])} names it; remove it or use it")
    return problems


def _dead_scripts(files: list[pathlib.Path], texts: dict[pathlib.Path, str]) -> list[str]:
    """Scripts that nobody mentions: not a build file, not a document, not another script, not a source's comment."""
    problems = []
    for path in files:
        script = path.suffix in (".py", ".sh") or (path.parts[0] == "tools" and not path.suffix)
        if not script or path.parts[0] == "tests":
            continue
        stem = re.escape(path.stem)
        name = re.compile(rf"\b{re.escape(path.name)}\b|\bimport {stem}\b|\bfrom \.?{stem} import\b")
        if not any(name.search(text) for other, text in texts.items() if other != path):
            problems.append(f"{path}: nothing mentions this script; say somewhere what it is for, or remove it")
    return problems


def check_dead_files(root: pathlib.Path) -> list[str]:
    files = source_files.listed(root)
    texts = _mentions(root)
    return _dead_sources(root, files, texts) + _dead_data(files, texts) + _dead_scripts(files, texts)
