#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints src/text/jinja/unicode_tables.h: what str.upper, str.lower, repr and str.isalpha know, from Python's Unicode.

Usage: tools/template_unicode.py > src/text/jinja/unicode_tables.h
"""
import sys
import unicodedata

CODES = [c for c in range(0x80, 0x110000) if not 0xD800 <= c <= 0xDFFF]


def ranges(predicate):
    out = []
    for c in CODES:
        if predicate(chr(c)):
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def deltas(convert):
    """Runs [first, last, step, delta] of characters whose mapping is one character at a constant distance."""
    out = []
    for c in CODES:
        to = convert(chr(c))
        if len(to) != 1 or ord(to) == c:
            continue
        delta = ord(to) - c
        last = out[-1] if out else None
        if last and last[3] == delta and (last[2] == 0 and c - last[1] in (1, 2) or last[2] == c - last[1]):
            last[2] = c - last[1]
            last[1] = c
        else:
            out.append([c, c, 0, delta])
    return [[first, last, step or 1, delta] for first, last, step, delta in out]


def specials(convert):
    return [[c, *(ord(x) for x in convert(chr(c)))] for c in CODES if len(convert(chr(c))) > 1]


def table(kind, name, rows, about):
    print(f"/// {about}")
    print(f"inline constexpr {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(hex(x) if i < 2 or kind != "CaseRun" else str(x) for i, x in enumerate(row)) + "},"
        if len(line) + len(cell) > 118:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};\n")


print("// SPDX-License-Identifier: Apache-2.0")
print("//")
print(f"// Made by tools/template_unicode.py from Unicode {unicodedata.unidata_version}. ASCII is left out.")
print("// size: tables that a script writes")
print("#pragma once\n")
print("#include <cstdint>\n")
print("namespace plait::text::jinja {\n")
print("struct CodeRange {\n  char32_t first, last;\n};\n")
print("/// The characters first, first + step, ..., last become the ones `delta` away.")
print("struct CaseRun {\n  char32_t first, last;\n  std::int32_t step, delta;\n};\n")
print("struct CaseSpecial {\n  char32_t from, to[3];\n};\n")
print("// clang-format off")
table("CodeRange", "kNotPrintable", ranges(lambda c: not c.isprintable()), "What repr() escapes.")
table("CodeRange", "kSpaces", ranges(str.isspace), "What str.strip() strips.")
table("CodeRange", "kAlphabetic", ranges(str.isalpha), "str.isalpha().")
table("CodeRange", "kDecimal", ranges(str.isdecimal), "str.isdecimal().")
table("CaseRun", "kToUpper", deltas(str.upper), "str.upper() where it gives one character.")
table("CaseRun", "kToLower", deltas(str.lower), "str.lower() where it gives one character.")
table("CaseSpecial", "kUpperSpecial", specials(str.upper), "str.upper() where it gives several characters.")
print("// clang-format on\n")
print("}  // namespace plait::text::jinja")
