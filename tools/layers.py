#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads layers.toml, the one table of the house.

  layers.py cmake   prints one plait_area(...) call per area that exists, lowest rank first
  layers.py check   checks the table and every #include against it
  layers.py draw    draws the picture in ARCHITECTURE.md from the real includes
"""
import collections
import pathlib
import re
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_files  # noqa: E402

ROOT = source_files.ROOT
TEST_FILE = re.compile(r"_(test|bench|fuzz|probe)\.cc$|_(test|bench|fuzz)_\w+\.(h|cc)$|^testing/")
TEST_PACKAGES = {"gtest", "rapidcheck", "benchmark", "posix", "intrinsics", "absl", "tbb"}
PICTURE = re.compile(r"(<!-- picture: begin[^\n]*-->\n).*?(<!-- picture: end -->)", re.S)
# The C++23 library, and the C headers that it takes over.
STANDARD = set("""
algorithm any array atomic barrier bit bitset charconv chrono codecvt compare complex concepts condition_variable
coroutine deque exception execution expected filesystem format forward_list fstream functional future generator
initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map mdspan memory
memory_resource mutex new numbers numeric optional ostream print queue random ranges ratio regex scoped_allocator
semaphore set shared_mutex source_location span spanstream sstream stack stacktrace stdexcept stdfloat stop_token
streambuf string string_view strstream syncstream system_error thread tuple type_traits typeindex typeinfo
unordered_map unordered_set utility valarray variant vector version cassert cctype cerrno cfenv cfloat cinttypes
climits clocale cmath csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype
""".split())


def load(root: pathlib.Path = ROOT) -> dict:
    with open(root / "layers.toml", "rb") as file:
        return tomllib.load(file)


def present(root: pathlib.Path, area: str) -> bool:
    return (root / "src" / area).is_dir()


def cmake(root: pathlib.Path = ROOT) -> str:
    table = load(root)
    # `testing` comes before every area's tests, after the areas it uses.
    lines = []
    areas = sorted(table["areas"].items(), key=lambda item: item[1]["rank"])
    for name, area in [*areas, ("testing", table["testing"])]:
        if not present(root, name):
            continue
        uses = [use for use in area["uses"] if present(root, use)]
        call = f"plait_area({name} USES {' '.join(uses)} PACKAGES {' '.join(area['packages'])})"
        lines.append(f"if(PLAIT_TESTS)\n  {call}\nendif()" if name == "testing" else call)
    return "\n".join(lines) + "\n"


class Graph:
    """Who includes whom. Files are named as in an #include: relative to src/."""

    def __init__(self, root: pathlib.Path = ROOT):
        self.root = root
        self.table = load(root)
        self.areas = self.table["areas"]
        self.headers = self.table["headers"]
        files = [path for path in source_files.listed(root) if path.suffix in source_files.CPP]
        self.includes = {}
        for path in files:
            if path.parts[0] in ("src", "apps"):
                name = path.relative_to("src").as_posix() if path.parts[0] == "src" else path.as_posix()
                self.includes[name] = source_files.includes(source_files.read(root / path) or "")

    def package_of(self, header: str) -> str | None:
        """The package of a system header; "" for the standard library, None when layers.toml does not list it."""
        if header in STANDARD:
            return ""
        for package, prefixes in self.headers.items():
            if any(header == prefix or (prefix.endswith("/") and header.startswith(prefix)) for prefix in prefixes):
                return package
        return None


def check_table(table: dict, root: pathlib.Path) -> list[str]:
    problems = []
    areas = table["areas"]
    for name, area in areas.items():
        for use in area["uses"]:
            if use not in areas:
                problems.append(f"layers.toml: {name} uses {use}, which is no area")
            elif areas[use]["rank"] >= area["rank"]:
                problems.append(f"layers.toml: {name} (rank {area['rank']}) may not use {use} (rank "
                                f"{areas[use]['rank']}): only strictly lower ranks; move the shared part down")
        for package in area["packages"]:
            if package not in table["headers"] and package != "threads":
                problems.append(f"layers.toml: {name} lists the package {package}, which has no line in [headers]")
    src = root / "src"
    for folder in sorted(path.name for path in src.iterdir() if path.is_dir()) if src.is_dir() else []:
        if folder not in areas and folder != "testing":
            problems.append(f"src/{folder}: no such area in layers.toml; add it there with a rank, or move the files")
    return problems


def check_project_include(graph: Graph, name: str, include: source_files.Include) -> str | None:
    areas = graph.areas
    target = include.name.split("/")[0]
    if include.name not in graph.includes:
        return f'"{include.name}" is not a file below src/; write the path from src/, and <…> for other libraries'
    own = name.split("/")[0]
    if "/detail/" in include.name and own != target:
        return f'"{include.name}" is a detail of {target}; use what its headers outside detail/ offer, or move it there'
    if own in (target, "apps"):
        return None
    tests = TEST_FILE.search(name)
    if target == "testing":
        return None if tests else "testing/ is for tests, benches and fuzzers only"
    if own == "testing":
        return None if target in graph.table["testing"]["uses"] else f"testing does not list {target} in layers.toml"
    if target not in areas[own]["uses"]:
        return f"{own} does not list {target} in layers.toml; it uses {', '.join(areas[own]['uses']) or 'nothing'}"
    return None


def check_system_include(graph: Graph, name: str, include: source_files.Include) -> str | None:
    if include.name in graph.includes:
        return f'write "{include.name}" with quotes'
    package = graph.package_of(include.name)
    if package == "":
        return None
    if package is None:
        hint = " (C++ has a <c…> header)" if "c" + include.name.removesuffix(".h") in STANDARD else ""
        return f"<{include.name}> belongs to no package in layers.toml [headers]{hint}"
    own = name.split("/")[0]
    area = graph.table["testing"] if own == "testing" else graph.areas.get(own, {"packages": []})
    everyone = graph.areas["base"]["packages"]
    if package in [*area["packages"], *everyone] or (TEST_FILE.search(name) and package in TEST_PACKAGES):
        return None
    return f"<{include.name}>: {own} does not list the package {package} in layers.toml; go through an area that does"


def find_cycle(graph: Graph) -> list[str]:
    """One cycle of files that include each other, or nothing."""
    state: dict[str, int] = {}
    for first in graph.includes:
        if first in state:
            continue
        path, iterators = [first], [iter(graph.includes[first])]
        state[first] = 1
        while path:
            for include in iterators[-1]:
                name = include.name
                if not include.quoted or name not in graph.includes:
                    continue
                if state.get(name) == 1:
                    return path[path.index(name):] + [name]
                if name not in state:
                    state[name] = 1
                    path.append(name)
                    iterators.append(iter(graph.includes[name]))
                    break
            else:
                state[path.pop()] = 2
                iterators.pop()
    return []


def check(root: pathlib.Path = ROOT) -> list[str]:
    graph = Graph(root)
    problems = check_table(graph.table, root)
    for name, includes in graph.includes.items():
        if name.split("/")[0] not in [*graph.areas, "testing", "apps"]:
            continue  # check_table said so
        for include in includes:
            rule = check_project_include if include.quoted else check_system_include
            if complaint := rule(graph, name, include):
                problems.append(f"{'' if name.startswith('apps/') else 'src/'}{name}:{include.line}: {complaint}")
    if cycle := find_cycle(graph):
        problems.append("these include each other in a circle: " + " -> ".join(cycle))
    return problems


def area_edges(graph: Graph) -> dict[str, set[str]]:
    """Area to the areas that its own code (not its tests) really includes."""
    edges = collections.defaultdict(set)
    for name, includes in graph.includes.items():
        own = "apps/" + name.split("/")[1] if name.startswith("apps/") else name.split("/")[0]
        if TEST_FILE.search(name):
            continue
        edges[own].update(target for include in includes if include.quoted
                          for target in [include.name.split("/")[0]] if target in graph.areas and target != own)
    return edges


def picture(root: pathlib.Path = ROOT) -> str:
    """A drawing of the real includes. Arrows that follow from others are only in the list below it."""
    graph = Graph(root)
    edges = area_edges(graph)
    reach: dict[str, set[str]] = {}

    def reachable(area: str) -> set[str]:
        if area not in reach:
            reach[area] = set().union(*({use} | reachable(use) for use in edges.get(area, ())))
        return reach[area]

    def rank(area: str) -> int:
        return graph.areas[area]["rank"] if area in graph.areas else 11

    def direct(area: str) -> list[str]:
        return sorted(use for use in edges[area] if not any(use in reachable(other) for other in edges[area] - {use}))

    order = sorted(edges, key=lambda area: (-rank(area), area))
    width = max(len(area) for area in order)
    lines = ["```mermaid", "graph TD"]
    node = {area: f"{area.replace('/', '_')}[{area}]" if "/" in area else area for area in order}
    lines += [f"  {node[area]} --> {use}" for area in order for use in direct(area)]
    lines += ["```", "", "```text", f"{'rank':>4}  {'area':<{width}}  includes"]
    for area in order:
        uses = sorted(edges[area], key=lambda use: (-rank(use), use))
        lines.append(f"{rank(area):>4}  {area:<{width}}  {' '.join(uses) or '-'}")
    return "\n".join([*lines, "```"]) + "\n"


def drawn(root: pathlib.Path, text: str) -> str:
    return PICTURE.sub(lambda match: match.group(1) + picture(root) + match.group(2), text)


def draw(root: pathlib.Path = ROOT) -> None:
    page = root / "ARCHITECTURE.md"
    page.write_text(drawn(root, page.read_text(encoding="utf-8")), encoding="utf-8")


def check_picture(root: pathlib.Path = ROOT) -> list[str]:
    page = root / "ARCHITECTURE.md"
    text = source_files.read(page) if page.exists() else ""
    if not PICTURE.search(text):
        return ["ARCHITECTURE.md: no picture; put <!-- picture: begin --> and <!-- picture: end --> where it belongs"]
    fresh = drawn(root, text) == text
    return [] if fresh else ["ARCHITECTURE.md: the picture is older than the includes; run tools/layers.py draw"]


def main(arguments: list[str]) -> int:
    if arguments == ["cmake"]:
        sys.stdout.write(cmake())
    elif arguments == ["check"]:
        problems = check()
        print(*problems, sep="\n", end="\n" if problems else "")
        return 1 if problems else 0
    elif arguments == ["draw"]:
        draw()
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
