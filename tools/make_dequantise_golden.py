#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/tensor/testdata/dequantise.txt: random blocks of every tensor type and their values by the `gguf` package.

Needs: pip install gguf numpy. Each line: type name, the blocks in hexadecimal, the values as bits of floats.
"""
import pathlib

import gguf
import numpy as np

# Type, bytes of a block, places of its half-precision fields.
TYPES = [
    ("F32", 4, []),
    ("F16", 2, [0]),
    ("BF16", 2, []),
    ("Q4_0", 18, [0]),
    ("Q4_1", 20, [0, 2]),
    ("Q5_0", 22, [0]),
    ("Q5_1", 24, [0, 2]),
    ("Q8_0", 34, [0]),
    ("Q2_K", 84, [80, 82]),
    ("Q3_K", 110, [108]),
    ("Q4_K", 144, [0, 2]),
    ("Q5_K", 176, [0, 2]),
    ("Q6_K", 210, [208]),
    ("IQ4_NL", 18, [0]),
    ("IQ4_XS", 136, [0]),
    ("MXFP4", 17, []),
]
BLOCKS = 3


def random_blocks(name: str, size: int, halves: list[int], random: np.random.Generator) -> np.ndarray:
    if name in ("F32", "BF16"):
        bits = random.normal(size=BLOCKS).astype(np.float32).view(np.uint32)
        return (bits if name == "F32" else (bits >> 16).astype(np.uint16)).view(np.uint8).reshape(BLOCKS, size)
    blocks = random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for place in halves:
        # Ordinary scales, and one so small that it is a subnormal half.
        scales = random.normal(0, 0.02, BLOCKS).astype(np.float16)
        scales[-1] = np.float16(3e-6)
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(BLOCKS, 2)
    if name == "MXFP4":  # the scale is an exponent; the smallest make subnormal floats
        blocks[:, 0] = [0, 1, 120]
    return blocks


def main() -> None:
    random = np.random.default_rng(20240229)
    lines = []
    for name, size, halves in TYPES:
        blocks = random_blocks(name, size, halves, random)
        kind = gguf.GGMLQuantizationType[name]
        values = blocks.view(np.float32) if name == "F32" else gguf.quants.dequantize(blocks, kind)
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).reshape(-1)
        lines.append(f"{name} {blocks.tobytes().hex()} {''.join(f'{word:08x}' for word in bits)}\n")
    target = pathlib.Path(__file__).resolve().parent.parent / "src/tensor/testdata/dequantise.txt"
    target.parent.mkdir(exist_ok=True)
    target.write_text("".join(lines))


if __name__ == "__main__":
    main()
