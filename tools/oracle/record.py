# SPDX-License-Identifier: Apache-2.0
"""Records what the float64 reference computes for every tiny model, for src/models/tiny_test.cc.

    python3 tools/oracle/record.py tests/data/tiny/logits.bin

Needs numpy. The file, little endian, one entry per model of the zoo: u32 length and name, u64 FNV-1a of the
model's file, then [positions, vocabulary] float32 logits, at positions 9 and 23 of a prompt of 24 tokens.
"""
import pathlib
import struct
import sys

import numpy as np

import reference64
import tiny

POSITIONS = [9, 23]


def prompt(name):
    return [int(word % np.uint64(tiny.VOCABULARY)) for word in tiny.random_words(tiny.fnv(name.encode()), 24)]


def fnv_fast(data):
    """FNV-1a over 64-bit words, the end padded with zeros."""
    value = 0xCBF29CE484222325
    for word in np.frombuffer(data + bytes(-len(data) % 8), "<u8").tolist():
        value = ((value ^ word) * 0x100000001B3) & tiny.MASK
    return value


def main():
    out = b""
    for model in tiny.zoo():
        data = model.file()
        logits = reference64.Model(data).logits(prompt(model.name))[POSITIONS]
        print(f"{model.name:40} logits {logits.std():.3f} {np.abs(logits).max():.3f}")
        name = model.name.encode()
        out += struct.pack("<I", len(name)) + name + struct.pack("<Q", fnv_fast(data)) + logits.astype("<f4").tobytes()
    path = pathlib.Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)


if __name__ == "__main__":
    main()
