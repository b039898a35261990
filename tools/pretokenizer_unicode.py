#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/text/unicode_ranges.inc: the classes of all characters that pre-tokenizers ask for.

The Unicode version is fixed at 15.1, the one llama.cpp's tables have, so that ids do not change with a library.
Needs the package unicodedata2 15.1 (or a Python whose own tables are 15.1).

    pip install unicodedata2==15.1.0 && tools/pretokenizer_unicode.py
"""
import pathlib
import sys

VERSION = "15.1.0"
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
               0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
OTHER, LETTER, NUMBER, SPACE, PUNCTUATION = range(5)


def tables():
    for name in ("unicodedata2", "unicodedata"):
        try:
            module = __import__(name)
        except ImportError:
            continue
        if module.unidata_version == VERSION:
            return module
    sys.exit(f"pretokenizer_unicode: no Unicode {VERSION} tables; pip install unicodedata2=={VERSION}")


def classify(data, code_point):
    if code_point in WHITE_SPACE:
        return SPACE
    return {"L": LETTER, "N": NUMBER, "P": PUNCTUATION}.get(data.category(chr(code_point))[0], OTHER)


def main():
    data = tables()
    entries = []
    last = None
    for code_point in range(0x110000):
        kind = classify(data, code_point)
        if kind != last:
            entries.append(f"0x{code_point << 3 | kind:X}")
            last = kind
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// clang-format off",
        f"// Written by tools/pretokenizer_unicode.py from Unicode {VERSION}:",
        "// where a class begins, code point << 3 | class.",
    ]
    line = ""
    for entry in entries:
        if len(line) + len(entry) + 2 > 118:
            lines.append(line.rstrip())
            line = ""
        line += entry + ", "
    lines.append(line.rstrip())
    target = pathlib.Path(__file__).resolve().parent.parent / "src/text/unicode_ranges.inc"
    target.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(f"{target.name}: {len(entries)} ranges")


if __name__ == "__main__":
    main()
