# SPDX-License-Identifier: Apache-2.0
"""docs/reports/long.md: what each part of `./test --long` came to when it last ran. A part replaces its own section."""
import datetime
import os
import pathlib
import platform
import re
import subprocess

import source_files

REPORT = source_files.ROOT / "docs/reports/long.md"
HEAD = "# The last long runs\n\nWritten by `./test --long [PART…]`; each part as it was when it last ran.\n"


def write_part(part: str, filtered: str, tally) -> None:
    """Puts the section of `part` into the report, at its old place or at the end."""
    sections = read_sections(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
    sections[part] = describe(filtered, tally)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(HEAD + "".join(f"\n## {name}\n\n{text}\n" for name, text in sections.items()), encoding="utf-8")


def read_sections(text: str) -> dict[str, str]:
    """Section name to text, in their order."""
    pieces = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(pieces[1::2], pieces[2::2])}


def describe(filtered: str, tally) -> str:
    git = ["git", "-C", source_files.ROOT, "log", "-1", "--format=%h"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    only = f", only `{filtered}`" if filtered else ""
    lines = [f"{datetime.date.today()}, {os.cpu_count()} cores of {processor()}, at {commit}{only}", "",
             "| part | passed | failed | skipped | seconds |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {title} | {passed} | {failed} | {skipped} | {seconds:.0f} |"
              for title, passed, failed, skipped, seconds in tally.sections]
    lines += ["", *(f"- {note}" for note in tally.notes)]
    lines += [f"- skipped {count}: {reason}" for reason, count in sorted(tally.reasons.items())]
    lines += [f"- failed: {name}" for name in tally.failures]
    return "\n".join(lines).strip()


def processor() -> str:
    match = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return match.group(1) if match else platform.machine()
