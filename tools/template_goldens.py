#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what Python's jinja2 renders, as goldens for the template engine.

Environment as model libraries set it up: immutable sandbox, trim_blocks, lstrip_blocks, loop controls, `tojson` that
keeps UTF-8, `raise_exception`, `strftime_now` (here at a fixed time), `generation` blocks that pass their text through.

Usage: tools/template_goldens.py [--models FOLDER]
  Writes tests/data/templates/goldens.json (templates there x conversations.json) and expressions.json (from
  expressions.txt, one template a line, \\n for line feeds). With --models, also models.json: FNV-1a hashes of what the
  templates in NAME.gguf give.
  null stands for a template that raised. Prints what changed.
"""
import argparse
import datetime
import json
import pathlib

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "templates"
NOW = datetime.datetime(2026, 3, 9, 14, 5, 7)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("through"), [], [], body).set_lineno(line)

    def through(self, caller):
        return caller()


def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, "jinja2.ext.loopcontrols"])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(source, variables):
    try:
        text = environment().from_string(source).render(**variables)
        text.encode()
        return text
    except Exception:  # whatever a template or Python raises is an error there
        return None


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def variables_of(conversation, prompt):
    return {"tools": None, **SPECIAL, "add_generation_prompt": prompt, **conversation["variables"]}


def write(name, value):
    path = FOLDER / name
    def compact(x):
        return json.dumps(x, ensure_ascii=False, separators=(",", ":"))

    if isinstance(value, dict):
        text = "{\n" + ",\n".join(f"{compact(k)}:{compact(v)}" for k, v in value.items()) + "\n}\n"
    else:
        text = "[\n" + ",\n".join(map(compact, value)) + "\n]\n"
    before = path.read_text() if path.exists() else ""
    old, new = before.split("\n"), text.split("\n")
    changed = sum(a != b for a, b in zip(old, new)) + abs(len(old) - len(new))
    path.write_text(text)
    print(f"{name}: {len(text.encode())} bytes, {changed} lines changed")


def model_template(path):
    import gguf
    field = gguf.GGUFReader(path).fields.get("tokenizer.chat_template")
    return field.contents() if field else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", type=pathlib.Path)
    models = arguments.parse_args().models
    conversations = json.loads((FOLDER / "conversations.json").read_text())
    cases = [variables_of(c, prompt) for c in conversations for prompt in (True, False)]
    goldens = {path.stem: [render(path.read_text(), case) for case in cases] for path in sorted(FOLDER.glob("*.jinja"))}
    write("goldens.json", goldens)
    lines = [x for x in (FOLDER / "expressions.txt").read_text().split("\n") if x and not x.startswith("## ")]
    sources = [x.replace("\\n", "\n") for x in lines]
    context = json.loads((FOLDER / "context.json").read_text())
    write("expressions.json", [[x, render(x, context)] for x in sources])
    if models:
        hashes = {}
        for path in sorted(models.glob("*.gguf")):
            if source := model_template(path):
                texts = [render(source, case) for case in cases]
                hashes[path.stem] = [t if t is None else fnv(t) for t in texts]
        write("models.json", hashes)
    done = [t for texts in goldens.values() for t in texts]
    raised = sum(t is None for t in done)
    print(f"{len(goldens)} templates x {len(cases)} conversations: {raised} of {len(done)} raise; "
          f"{len(sources)} expressions")


main()
