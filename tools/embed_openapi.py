#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one OpenAPI document of the parts in a folder, and of that a C++ file: tools/embed_openapi.py FOLDER OUTPUT.cc

base.json has what all share. Every other file has the `paths` of one area, and their `components`; no name comes twice.
What the server itself may answer to any request, before or instead of the area's code, need not be repeated there:
each operation gets the replies of base.json that it does not describe.

The build calls this; tests compare the paths with the server's routes.
"""
import json
import pathlib
import sys

from embed_page import literal

# Status to its name in base.json's components.responses. Operations that take no body are not refused for one.
EVERYWHERE = {"400": "BadRequest", "401": "Unauthorized", "403": "Forbidden", "405": "MethodNotAllowed",
              "408": "Timeout", "414": "TargetTooLong", "417": "ExpectationFailed", "429": "TooManyRequests",
              "431": "HeaderTooLarge", "500": "Failed", "501": "NotImplemented", "503": "Overloaded",
              "505": "VersionNotSupported", "413": "BodyTooLarge"}

CPP = """// SPDX-License-Identifier: Apache-2.0
// Made by tools/embed_openapi.py from the folder openapi/.
#include "serving/openapi.h"

namespace plait::serving {{

std::string_view openapi_file() {{
  static constexpr char kJson[] =
{json};
  return {{kJson, sizeof(kJson) - 1}};
}}

}}  // namespace plait::serving
"""


def references(value):
    """All "$ref" within."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref":
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def join(into: dict, part: dict, where: str) -> None:
    for name, value in part.items():
        if name in into:
            raise SystemExit(f"{where}: {name} is there already")
        into[name] = value


def document(folder: pathlib.Path) -> dict:
    base = json.loads((folder / "base.json").read_text(encoding="utf-8"))
    for path in sorted(folder.glob("*.json")):
        if path.name == "base.json":
            continue
        part = json.loads(path.read_text(encoding="utf-8"))
        if unknown := part.keys() - {"paths", "components"}:
            raise SystemExit(f"{path.name}: {', '.join(sorted(unknown))} belong in base.json")
        join(base["paths"], part["paths"], path.name)
        for kind, components in part.get("components", {}).items():
            join(base["components"].setdefault(kind, {}), components, f"{path.name}, {kind}")
    for operations in base["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict):
                for status, name in EVERYWHERE.items():
                    operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{name}"})
    for reference in references(base):
        there = base
        for name in reference.removeprefix("#/").split("/"):
            there = there.get(name.replace("~1", "/"), {}) if isinstance(there, dict) else {}
        if not there:
            raise SystemExit(f"{reference} leads nowhere")
    return base


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    data = json.dumps(document(pathlib.Path(arguments[0])), ensure_ascii=False, indent=1).encode() + b"\n"
    pathlib.Path(arguments[1]).write_text(CPP.format(json=literal(data)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
