#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what llama.cpp's tokenizer makes of 1.3 MB of mixed text, for tests/data/tokenizer/*.golden.

The text is made from the small files beside the goldens by a counter-based random generator;
tokenizer_golden_test.cc makes the same text again (a hash per chunk is in the golden), encodes it and compares the hash
of the ids of every chunk.

    tools/tokenizer_goldens.py --llama BUILD/bin/llama-tokenize --models DIR    # rewrite the goldens
    tools/tokenizer_goldens.py --text mixed.txt                                 # only write the text

Besides the models' own pre-tokenizers, `default`, `llama-bpe` and `gpt-2` are recorded with smollm2's vocabulary, in a
model file without weights that differs in `tokenizer.ggml.pre` only.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests/data/tokenizer"
MODELS = ["smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]
VARIANTS = ["default", "llama-bpe", "gpt-2"]
CHUNKS = 20
CHUNK_BYTES = 65536
MASK = (1 << 64) - 1


def mix64(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


class Composer:
    """The text of one chunk. Keep in step with MixedText in tokenizer_golden_test.cc."""

    SPACES = [" ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2003", "\v", "\f", "\u0085", "\u2028", "\r"]
    DIGITS = [0x30, 0x30, 0x30, 0x660, 0x966, 0xFF10, 0x1D7D8]
    PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    INVISIBLE = [*range(0, 32), 0x7F, 0x80, 0x9F, 0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x2060, 0xFEFF, 0xFFFD, 0xFFFC]

    def __init__(self, chunk):
        self.state = mix64((chunk + 0x9E3779B97F4A7C15) & MASK)
        self.counter = 0
        self.prose = (DATA / "prose.txt").read_text("utf-8").removesuffix("\n").split("\n%%\n")
        self.code = (DATA / "code.txt").read_text("utf-8").removesuffix("\n").split("\n%%\n")
        self.specials = (DATA / "specials.txt").read_text("utf-8").splitlines()
        self.ranges = [[int(x, 16) for x in line.split()] for line in (DATA / "ranges.txt").read_text().splitlines()]

    def below(self, n):
        value = mix64((self.state + self.counter * 0x9E3779B97F4A7C15) & MASK)
        self.counter += 1
        return value % n

    def pick(self, items):
        return items[self.below(len(items))]

    def repeat(self, most, make):
        return "".join(make() for _ in range(1 + self.below(most)))

    def word(self):
        """The front of one word and the back of another: words nobody has seen, in mixed scripts at times."""
        words = self.pick(self.prose).split(" ")
        front, back = self.pick(words), self.pick(words)
        return front[: self.below(len(front) + 1)] + back[self.below(len(back) + 1):]

    def character(self):
        low, high = self.pick(self.ranges)
        return chr(low + self.below(high - low + 1))

    def item(self):
        kind = self.below(16)
        if kind < 4:
            return self.pick(self.prose)
        if kind < 6:
            return self.pick(self.code)
        if kind < 9:
            return self.repeat(30, lambda: self.word() + " ")
        if kind < 10:
            low, high = self.pick(self.ranges)
            return self.repeat(24, lambda: chr(low + self.below(high - low + 1)))
        if kind < 11:
            return self.repeat(8, self.character)
        if kind < 12:
            zero = self.pick(self.DIGITS)
            return self.repeat(14, lambda: chr(zero + self.below(10)))
        if kind < 13:
            one, other = self.pick(self.SPACES), self.pick(self.SPACES)
            return self.repeat(40, lambda: one) + other
        if kind < 14:
            return self.repeat(12, lambda: self.pick(self.PUNCTUATION))
        if kind < 15:
            return self.repeat(4, lambda: chr(self.pick(self.INVISIBLE)))
        return self.repeat(3, lambda: self.pick(self.specials))

    def text(self):
        parts = []
        size = 0
        while size < CHUNK_BYTES:
            part = self.item() + self.pick(["", " ", "\n", "\n\n", "\t", " ", ". ", "\n    "])
            parts.append(part)
            size += len(part.encode("utf-8"))
        return "".join(parts).encode("utf-8")


def variant(model, pre, target):
    """A copy of the metadata of a GGUF file, without tensors, with another pre-tokenizer."""
    data = model.read_bytes()
    version, _, keys = struct.unpack_from("<IQQ", data, 4)
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    at = 24

    def skip(kind, position):
        if kind == 8:
            return position + 8 + struct.unpack_from("<Q", data, position)[0]
        if kind == 9:
            element, count = struct.unpack_from("<IQ", data, position)
            position += 12
            if element != 8:
                return position + count * sizes[element]
            for _ in range(count):
                position = skip(8, position)
            return position
        return position + sizes[kind]

    out = bytearray(b"GGUF" + struct.pack("<IQQ", version, 0, keys))
    for _ in range(keys):
        start = at
        length, = struct.unpack_from("<Q", data, at)
        key = data[at + 8:at + 8 + length]
        kind, = struct.unpack_from("<I", data, at + 8 + length)
        at = skip(kind, at + 12 + length)
        if key == b"tokenizer.ggml.pre":
            out += data[start:start + 12 + length] + struct.pack("<Q", len(pre)) + pre.encode()
        else:
            out += data[start:at]
    target.write_bytes(out + b"\0" * (-len(out) % 32))


def tokenize(llama, model, path, parse_special):
    command = [llama, "-m", model, "-f", path, "--ids", "--no-escape", "--log-disable"]
    if not parse_special:
        command.append("--no-parse-special")
    done = subprocess.run([str(c) for c in command], capture_output=True, check=True)
    return json.loads(done.stdout)


def golden(llama, model, texts, folder):
    lines = ["# chunk  text: bytes fnv  ids: count fnv  ids without parse_special: count fnv"]
    for number, text in enumerate(texts):
        path = folder / "chunk"
        path.write_bytes(text)
        line = f"chunk {number} {len(text)} {fnv(text):016x}"
        for parse_special in (True, False):
            ids = tokenize(llama, model, path, parse_special)
            line += f" {len(ids)} {fnv(struct.pack(f'<{len(ids)}i', *ids)):016x}"
        lines.append(line)
    path.write_bytes(texts[0].decode("utf-8")[:1200].encode("utf-8"))
    lines.append("start " + " ".join(str(i) for i in tokenize(llama, model, path, True)))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama", type=pathlib.Path, help="llama-tokenize of a llama.cpp build")
    parser.add_argument("--models", type=pathlib.Path, help="folder with NAME.gguf")
    parser.add_argument("--only", action="append", help="only this model or smollm2-135m:PRE")
    parser.add_argument("--text", type=pathlib.Path, help="write the mixed text here and stop")
    options = parser.parse_args()
    texts = [Composer(chunk).text() for chunk in range(CHUNKS)]
    if options.text:
        options.text.write_bytes(b"".join(texts))
        return
    if not options.llama or not options.models:
        sys.exit("tokenizer_goldens: --llama and --models are needed")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for job in MODELS + [f"smollm2-135m:{pre}" for pre in VARIANTS]:
            if options.only and job not in options.only:
                continue
            model, _, pre = job.partition(":")
            path = options.models / f"{model}.gguf"
            if pre:
                path = folder / "variant.gguf"
                variant(options.models / f"{model}.gguf", pre, path)
            (DATA / f"{job.replace(':', '_')}.golden").write_text(golden(options.llama, path, texts, folder))
            print(job, flush=True)


if __name__ == "__main__":
    main()
