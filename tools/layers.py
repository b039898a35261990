#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads layers.toml. `layers.py cmake` prints one plait_area(...) call per area that exists, lowest rank first."""
import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


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


if __name__ == "__main__":
    if sys.argv[1:] == ["cmake"]:
        sys.stdout.write(cmake())
    else:
        sys.exit("usage: layers.py cmake")
