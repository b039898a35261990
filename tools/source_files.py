# SPDX-License-Identifier: Apache-2.0
"""The files of the repository, and enough of a C++ reader to check them: text without comments, includes, functions."""
import dataclasses
import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPP = {".cc", ".h", ".inc"}
SKIPPED_FOLDERS = {".git", "build", "__pycache__", ".cache"}


def listed(root: pathlib.Path) -> list[pathlib.Path]:
    """Every file that belongs to the repository, relative to the root; without git, every file that is not built."""
    if (root / ".git").exists():
        done = subprocess.run(["git", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"],
                              capture_output=True, check=False)
        if done.returncode == 0:
            names = {name for name in done.stdout.decode().split("\0") if name}
            return sorted(pathlib.Path(name) for name in names if (root / name).is_file())
    return sorted(path.relative_to(root) for path in root.rglob("*")
                  if path.is_file() and not SKIPPED_FOLDERS & set(path.relative_to(root).parts))


@functools.lru_cache(maxsize=None)
def _read(path: pathlib.Path, changed: int) -> str | None:
    del changed  # part of the key
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def read(path: pathlib.Path) -> str | None:
    """The text of a file, or None when it is not text."""
    return _read(path, path.stat().st_mtime_ns)


_RAW = re.compile(r'(?:u8|[uUL])?R"([^()\\ ]{0,16})\(')
_TOKEN = re.compile(r'//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/|(?:u8|[uUL])?R"|"(?:[^"\\\n]|\\.)*"|'
                    r"(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+'", re.S)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def without_comments(text: str, keep_strings: bool = False) -> str:
    """The same text, same line numbers, with comments (and what stands inside strings) turned into spaces."""
    out, at = [], 0
    while match := _TOKEN.search(text, at):
        out.append(text[at:match.start()])
        token = match.group()
        end = match.end()
        if token.endswith('R"') and (raw := _RAW.match(text, match.start())):
            close = text.find(")" + raw.group(1) + '"', raw.end())
            end = len(text) if close < 0 else close + len(raw.group(1)) + 2
            token = text[match.start():end]
        if token.startswith("/") or not keep_strings:
            quote = token[-1] if not token.startswith("/") else ""
            blank = _blank(token)
            token = quote + blank[1:-1] + quote if quote else blank
        out.append(token)
        at = end
    out.append(text[at:])
    return "".join(out)


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


@dataclasses.dataclass(frozen=True)
class Include:
    line: int
    name: str
    quoted: bool


def includes(text: str) -> list[Include]:
    text = without_comments(text, keep_strings=True)
    return [Include(text.count("\n", 0, match.start()) + 1, match.group(2), match.group(1) == '"')
            for match in _INCLUDE.finditer(text)]


def reached(root: pathlib.Path, path: pathlib.Path, known: dict[pathlib.Path, list[Include]]) -> set[pathlib.Path]:
    """The file and every project file that it includes, directly or not. `known` keeps the includes of each."""
    todo, seen = [path], set()
    while todo:
        one = todo.pop()
        if one in seen or not (root / one).is_file():
            continue
        seen.add(one)
        if one not in known:
            known[one] = includes(read(root / one) or "")
        todo += [pathlib.Path("src") / include.name for include in known[one] if include.quoted]
    return seen


def _without_directives(text: str) -> str:
    """Blanks preprocessor lines, and every branch of a conditional but its first, so that braces stay balanced."""
    out, dead, continued = [], 0, False
    for line in text.split("\n"):
        stripped = line.lstrip()
        directive = continued or stripped.startswith("#")
        continued = directive and line.rstrip().endswith("\\")
        if stripped.startswith("#"):
            word = stripped[1:].lstrip()
            if dead:
                dead += word.startswith("if")
                dead -= word.startswith("endif")
            elif word.startswith(("else", "elif")):
                dead = 1
        out.append("" if directive or dead else line)
    return "\n".join(out)


@dataclasses.dataclass(frozen=True)
class Function:
    line: int     # of the first line of its signature
    lines: int    # from there to its closing brace
    signature: str


_MEMBER_INIT = re.compile(r"\)\s*(?:noexcept\s*)?:[^:].*[\w>]\s*$", re.S)
_TYPE = re.compile(r"\b(class|struct|union|enum)\b")


def _opens(statement: str) -> str:
    """What a brace after `statement` at namespace or class scope opens: scope, type, function, data."""
    head = re.sub(r"template\s*<[^{}]*?>\s*(?=\w)", "", statement).strip()
    if re.match(r"(inline\s+)?namespace\b|extern\s*\"", head) or head == "extern":
        return "scope"
    if head.endswith("=") or head.endswith(",") or head.endswith("("):
        return "data"
    if "(" not in head:
        return "scope" if _TYPE.search(head) and not head.startswith("enum") else "data"
    if _MEMBER_INIT.search(head):
        return "data"
    if re.match(r"(struct|class|union)\b", head) and re.search(r"\b(alignas|final|PLAIT_\w+)\s*\(?", head):
        return "scope"
    return "function"


def functions(text: str) -> list[Function]:
    """Functions with a body, found by their braces. Lambdas belong to the function around them."""
    text = _without_directives(without_comments(text))
    found, stack = [], []
    start, line = None, 1
    statement: list[str] = []
    for char in text:
        inside = stack and stack[-1][0] != "scope"
        if char == "{":
            kind = "inner" if inside else _opens("".join(statement))
            stack.append((kind, start or line, "".join(statement)))
            if kind == "scope":
                statement, start = [], None
            elif not inside:
                statement.append("{")
        elif char == "}" and stack:
            kind, first, signature = stack.pop()
            if kind == "function":
                found.append(Function(first, line - first + 1, " ".join(signature.split())[-100:]))
            if kind in ("function", "scope"):
                statement, start = [], None
            elif kind == "data":
                statement.append("}")
        elif not inside:
            if char == ";":
                statement, start = [], None
            elif not char.isspace() or statement:
                start = start or line
                statement.append(char)
                if char == ":" and "".join(statement).strip() in ("public:", "private:", "protected:"):
                    statement, start = [], None
        line += char == "\n"
    return found
