#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one HTML document of the chat page, and of that a C++ file: tools/embed_page.py FOLDER OUTPUT.cc

  <link rel="stylesheet" href="x.css">   becomes   <style>the text of x.css</style>
  <script src="x.js"></script>           becomes   <script>the text of x.js</script>

The content security policy names each of them by its hash, so that nothing else runs, whatever gets into the page.
The build calls this; tests/page/ drives the result in a browser.
"""
import base64
import hashlib
import pathlib
import re
import sys

STYLE = re.compile(r'<link rel="stylesheet" href="([\w-]+\.css)">')
SCRIPT = re.compile(r'<script src="([\w-]+\.js)"></script>')

CPP = """// SPDX-License-Identifier: Apache-2.0
// Made by tools/embed_page.py from the folder page/.
#include "serving/page.h"

namespace plait::serving {{

PageFile page_file() {{
  static constexpr char kHtml[] =
{html};
  static constexpr char kSecurity[] =
{security};
  return {{.html = {{kHtml, sizeof(kHtml) - 1}},
          .etag = "\\"{etag}\\"",
          .security = {{kSecurity, sizeof(kSecurity) - 1}}}};
}}

}}  // namespace plait::serving
"""


def source_of(text: bytes) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text).digest()).decode() + "'"


def inline(folder: pathlib.Path) -> tuple[str, list[str], list[str]]:
    """The document, and the sources of its styles and scripts as the policy names them."""
    styles, scripts = [], []

    def put(tag: str, sources: list[str]):
        def replacement(match: re.Match) -> str:
            text = (folder / match.group(1)).read_text(encoding="utf-8")
            if f"</{tag}" in text.lower() or "<!--" in text:
                raise SystemExit(f"{match.group(1)}: holds what would end the element <{tag}>")
            sources.append(source_of(text.encode()))
            return f"<{tag}>{text}</{tag}>"
        return replacement

    html = (folder / "index.html").read_text(encoding="utf-8")
    html = SCRIPT.sub(put("script", scripts), STYLE.sub(put("style", styles), html))
    return html, styles, scripts


def policy(styles: list[str], scripts: list[str]) -> str:
    return "; ".join(["default-src 'none'", "style-src " + " ".join(styles), "script-src " + " ".join(scripts),
                      "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
                      "frame-ancestors 'none'"])


def literal(data: bytes) -> str:
    """A C++ string literal, one line of it for each line of the text."""
    known = {ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n", ord("?"): "\\?"}
    lines = [b"".join(known.get(byte, chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}").encode() for byte in line)
             for line in data.splitlines(keepends=True)]
    return "\n".join(f'    "{line.decode()}"' for line in lines)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    html, styles, scripts = inline(pathlib.Path(arguments[0]))
    data = html.encode()
    text = CPP.format(html=literal(data), security=literal(policy(styles, scripts).encode()),
                      etag=hashlib.sha256(data).hexdigest()[:32])
    pathlib.Path(arguments[1]).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
