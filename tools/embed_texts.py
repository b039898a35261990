#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes of the texts in a folder a C++ file that lists them: tools/embed_texts.py FOLDER OUTPUT.cc

The build calls this for src/reasoning/prompts/; the name of a text is its file's without the ending.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import embed_page  # noqa: E402

CPP = """// SPDX-License-Identifier: Apache-2.0
// Made by tools/embed_texts.py from the folder prompts/.
#include "reasoning/prompts.h"

namespace plait::reasoning {{

std::vector<std::pair<std::string_view, std::string_view>> prompt_files() {{
  return {{
{files}
  }};
}}

}}  // namespace plait::reasoning
"""


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    files = [f'      {{"{file.stem}",\n{embed_page.literal(file.read_bytes())}}},'
             for file in sorted(pathlib.Path(arguments[0]).glob("*.txt"))]
    pathlib.Path(arguments[1]).write_text(CPP.format(files="\n".join(files)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
