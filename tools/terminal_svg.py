#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs commands in a terminal and draws what it showed as an SVG: the picture in README.md.

  tools/terminal_svg.py docs/terminal.svg './run ask "Why is the sky blue?"' './run model list'

Commands run in the root of the repository. Nothing is edited: colours, and what a carriage return or an erased line
removed, are treated as a terminal would.
"""
import html
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import termios
import time
import struct
import fcntl

COLUMNS = 100
LINE = 19      # pixels from one line to the next
CHARACTER = 8.4
MARGIN = 18
SECONDS_MAX = 600
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b[=>()][A-Z0-9]?")
COLOURS = {"31": "#f7768e", "32": "#9ece6a", "33": "#e0af68", "34": "#7aa2f7", "35": "#bb9af7", "36": "#7dcfff",
           "90": "#7a819c", "2": "#7a819c", "1": "#ffffff"}


def run_in_terminal(command: str, folder: pathlib.Path) -> str:
    """What the command wrote to a terminal of COLUMNS columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, stdin=slave, stdout=slave, stderr=slave,
                               env=environment, start_new_session=True)
    os.close(slave)
    chunks, end = [], time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        if not select.select([master], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the last writer closed the terminal
            break
        chunks.append(chunk)
    process.kill()
    process.wait()
    os.close(master)
    return b"".join(chunks).decode(errors="replace")


class Screen:
    """The lines of a terminal: enough of one for progress bars, colours and wrapped text."""

    def __init__(self):
        self.lines: list[list[tuple[str, str]]] = [[]]  # [line][column] = (character, colour)
        self.column = 0
        self.colour = ""

    def put(self, char: str) -> None:
        if self.column == COLUMNS:
            self.new_line()
        line = self.lines[-1]
        line.extend([(" ", "")] * (self.column - len(line)))
        line[self.column:self.column + 1] = [(char, self.colour)]
        self.column += 1

    def new_line(self) -> None:
        self.lines.append([])
        self.column = 0

    def escape(self, arguments: str, kind: str) -> None:
        if kind == "m":
            for code in arguments.split(";"):
                self.colour = COLOURS.get(code.lstrip("0"), "")
        elif kind == "K":
            self.lines[-1] = [] if arguments == "2" else self.lines[-1][:self.column]

    def write(self, text: str) -> None:
        at = 0
        while at < len(text):
            if match := ESCAPE.match(text, at):
                self.escape(match.group(1) or "", match.group(2) or "")
                at = match.end()
                continue
            char = text[at]
            at += 1
            if char == "\n":
                self.new_line()
            elif char == "\r":
                self.column = 0
            elif char == "\b":
                self.column = max(0, self.column - 1)
            elif char >= " ":
                self.put(char)


def svg_line(line: list[tuple[str, str]], y: float) -> str:
    spans, at = [], 0
    while at < len(line):
        end = at
        while end < len(line) and line[end][1] == line[at][1]:
            end += 1
        text = html.escape("".join(char for char, _ in line[at:end]))
        colour = f' fill="{line[at][1]}"' if line[at][1] else ""
        spans.append(f"<tspan{colour}>{text}</tspan>")
        at = end
    return f'  <text x="{MARGIN}" y="{y:.0f}" xml:space="preserve">{"".join(spans)}</text>'


def draw(lines: list[list[tuple[str, str]]]) -> str:
    width = int(2 * MARGIN + COLUMNS * CHARACTER)
    height = 2 * MARGIN + LINE * (len(lines) + 1)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#c8cfe8">',
           f'  <rect width="{width}" height="{height}" rx="8" fill="#1a1b26"/>']
    out += [f'  <circle cx="{MARGIN + 18 * i}" cy="{MARGIN - 2}" r="5" fill="{colour}"/>'
            for i, colour in enumerate(("#f7768e", "#e0af68", "#9ece6a"))]
    out += [svg_line(line, MARGIN + LINE * (i + 1.6)) for i, line in enumerate(lines)]
    return "\n".join([*out, "</svg>"]) + "\n"


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(__file__).resolve().parent.parent
    screen = Screen()
    for command in arguments[1:]:
        screen.write(f"\x1b[32m$\x1b[0m {command}\n")
        screen.write(run_in_terminal(command, root))
        if screen.lines[-1]:
            screen.new_line()
    while screen.lines and not screen.lines[-1]:
        screen.lines.pop()
    pathlib.Path(arguments[0]).write_text(draw(screen.lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
