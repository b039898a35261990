# SPDX-License-Identifier: Apache-2.0
"""The documents: their links lead somewhere, their code blocks are of a known kind, and those marked `sh` run.

  ```sh           run in an empty folder with plait on PATH and ./run beside it
  ```sh model     the same, when the default model is there
  ```toml, json   parsed
  ```text, console, cpp, mermaid   for reading only
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_files  # noqa: E402

FENCE = re.compile(r"^(\s*)(```+)[ \t]*([^\n`]*)\n(.*?)^\1\2[ \t]*$", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")
FOR_READING = {"text", "console", "cpp", "mermaid"}
RUN = {"sh", "sh model"}
BLOCK_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Block:
    page: pathlib.Path
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        return f"docs.{self.page}:{self.line}"


def pages(root: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in source_files.listed(root) if path.suffix == ".md"]


def blocks(root: pathlib.Path) -> list[Block]:
    found = []
    for page in pages(root):
        text = source_files.read(root / page) or ""
        found += [Block(page, text.count("\n", 0, match.start()) + 1, match.group(3).strip(), match.group(4))
                  for match in FENCE.finditer(text)]
    return found


def _parse_error(block: Block) -> str | None:
    try:
        if block.kind == "json":
            json.loads(block.text)
        elif block.kind == "toml":
            tomllib.loads(block.text)
        elif block.kind in RUN:
            done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
            return done.stderr.strip() or None
        elif block.kind not in FOR_READING:
            return f"a code block of unknown kind {block.kind!r}; tools/documents.py lists the kinds"
    except ValueError as error:
        return str(error)
    return None


def check_blocks(root: pathlib.Path) -> list[str]:
    return [f"{block.page}:{block.line}: {error}" for block in blocks(root) if (error := _parse_error(block))]


def check_links(root: pathlib.Path) -> list[str]:
    problems = []
    for page in pages(root):
        text = FENCE.sub(lambda match: "\n" * match.group().count("\n"), source_files.read(root / page) or "")
        for match in LINK.finditer(text):
            target = (match.group(1) or match.group(2)).split("#")[0]
            if target and not re.match(r"[a-z]+:", target) and not (root / page.parent / target).exists():
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{page}:{line}: the link leads nowhere: {target}")
    return problems


def default_model() -> pathlib.Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(cache) / "plait/models/smollm2-135m.gguf"


def run_block(block: Block, root: pathlib.Path, programs: pathlib.Path) -> str | None:
    """Runs a block as a reader would; what went wrong, or None."""
    with tempfile.TemporaryDirectory(prefix="plait-docs-") as folder:
        (pathlib.Path(folder) / "run").symlink_to(root / "run")
        environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1",
                       "XDG_STATE_HOME": folder}
        said = pathlib.Path(folder) / ".said"  # a file: a server that is left behind would keep a pipe open
        with said.open("w") as out:
            process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", block.text], cwd=folder, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       start_new_session=True)
        try:
            code = process.wait(BLOCK_SECONDS)
        except subprocess.TimeoutExpired:
            return f"did not end within {BLOCK_SECONDS} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        text = said.read_text(errors="replace")
    return None if code == 0 else f"exit code {code}\n{block.text}\n{text[-3000:]}"


def run_blocks(tally, root: pathlib.Path, programs: pathlib.Path) -> None:
    """Runs all blocks that the tally wants. `programs` is the folder with plait."""
    for block in blocks(root):
        if block.kind not in RUN or not tally.wants(block.name):
            continue
        if block.kind == "sh model" and not default_model().exists():
            tally.skips(block.name, "the default model is not in the cache")
        elif problem := run_block(block, root, programs):
            tally.fails(block.name, problem)
        else:
            tally.passes(block.name)
