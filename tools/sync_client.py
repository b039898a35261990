#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The blocking Python client out of the one for asyncio: clients/python/plait/_async.py makes _sync.py beside it.

usage: tools/sync_client.py          writes it
       tools/sync_client.py --check  says whether it is what would be written

Words are exchanged by the table below; what stands in brackets moves with the bracket that it is aligned to. A block
from a line `# async only` to a line `# end` is left out, and of one from `# sync only` on the comments become code.
"""
import io
import pathlib
import re
import sys
import tokenize

FOLDER = pathlib.Path("clients/python/plait")
HEAD = """# SPDX-License-Identifier: Apache-2.0
# Made of _async.py by tools/sync_client.py: change that file, and run this.
"""
WORDS = [
    (r"\basync (?=def|for|with)", ""),
    (r"\(await ([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*)\)(?=[.\[])", r"\1"),  # (await f(x)).y
    (r"\bawait ", ""),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\baclose\b", "close"),
    (r"\baread\b", "read"),
    (r"\baiter_lines\b", "iter_lines"),
    (r"\b__a(enter|exit)__", r"__\1__"),
    (r"\bAsync(?=[A-Z])", ""),
]


def chosen(lines):
    """The lines that the blocks leave for this one of the two."""
    only = None
    for line in lines:
        mark = line.strip()
        if mark in ("# async only", "# sync only"):
            only = mark
        elif mark == "# end":
            only = None
        elif only == "# sync only":
            yield re.sub(r"^( *)# ?", r"\1", line)
        elif only is None:
            yield line


def exchanged(line):
    for pattern, word in WORDS:
        line = re.sub(pattern, word, line)
    return line


def shifts_of(lines):
    """For each line: by how much the bracket within which it begins moved to the left, and 0 outside of brackets."""
    shifts, open_brackets = [0] * (len(lines) + 1), []
    tokens = tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline)
    row = 0
    for token in tokens:
        while row < token.start[0]:
            row += 1
            if row <= len(lines):
                shifts[row] = open_brackets[-1] if open_brackets else 0
        if token.type == tokenize.OP and token.string in "([{":
            line, column = lines[token.start[0] - 1], token.start[1]
            open_brackets.append(shifts[row] + column - len(exchanged(line[:column])))
        elif token.type == tokenize.OP and token.string in ")]}":
            open_brackets.pop()
    return shifts[1:]


def sync_of(source):
    """The text of _sync.py."""
    lines = list(chosen(source.splitlines()[2:]))
    out = [exchanged(line[shift:]) for line, shift in zip(lines, shifts_of(lines))]
    return HEAD + "\n".join(out) + "\n"


def check(root):
    """Complaints about a tree whose _sync.py is not what _async.py makes."""
    source, made = root / FOLDER / "_async.py", root / FOLDER / "_sync.py"
    if not source.exists() or made.read_text("utf-8") == sync_of(source.read_text("utf-8")):
        return []
    return [f"{FOLDER / '_sync.py'}: is not what _async.py makes; run tools/sync_client.py"]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    if "--check" in sys.argv[1:]:
        complaints = check(root)
        print("\n".join(complaints) or "it is")
        return 1 if complaints else 0
    (root / FOLDER / "_sync.py").write_text(sync_of((root / FOLDER / "_async.py").read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
