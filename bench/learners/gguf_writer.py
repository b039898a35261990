# SPDX-License-Identifier: Apache-2.0
"""Writes a learner as a GGUF file of architecture llama: floats of 32 bits, the tokens of vocabulary.py.

  shape = LearnerShape(layers=2, width=64, heads=2, kv_heads=1, head_dim=32, ffn=128, context=512)
  write_gguf("learner.gguf", shape, {name: floats(tensor) for name in tensor_shapes(shape)}, "a learner")

Tensors are objects with the buffer protocol that hold floats of 32 bits one after another: array.array("f"), arrays of
numpy. A matrix of [outputs, inputs] is stored row by row, as everywhere in GGUF. Queries and keys are rotated in pairs
of neighbours, (2i, 2i + 1), by position * rope_base ** (-2i / head_dim).
"""
import dataclasses
import os
import pathlib
import struct
import sys
import typing

import vocabulary

ALIGNMENT = 32
VERSION = 3
F32 = 0  # of tensors' types
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # of metadata
# A conversation has one turn: the last message is the text to go on from, as it stands.
CHAT_TEMPLATE = "{{ messages[-1]['content'] }}"


@dataclasses.dataclass(frozen=True)
class LearnerShape:
    layers: int = 6
    width: int = 192
    heads: int = 3
    kv_heads: int = 1  # a divisor of heads
    head_dim: int = 64  # a multiple of 16
    ffn: int = 384
    context: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-5


def tensor_shapes(shape: LearnerShape) -> dict[str, tuple[int, ...]]:
    """Every tensor of the file: [outputs, inputs], or [width] of a norm's gain."""
    query, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary.SIZE, shape.width)}
    for layer in range(shape.layers):
        shapes |= {f"blk.{layer}.{name}.weight": dims for name, dims in {
            "attn_norm": (shape.width,),
            "attn_q": (query, shape.width), "attn_k": (kv, shape.width), "attn_v": (kv, shape.width),
            "attn_output": (shape.width, query),
            "ffn_norm": (shape.width,),
            "ffn_gate": (shape.ffn, shape.width), "ffn_up": (shape.ffn, shape.width),
            "ffn_down": (shape.width, shape.ffn),
        }.items()}
    return shapes | {"output_norm.weight": (shape.width,), "output.weight": (vocabulary.SIZE, shape.width)}


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _texts(values: typing.Sequence[str]) -> bytes:
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(_text, values))


def _metadata(shape: LearnerShape, name: str) -> dict[str, tuple[int, bytes]]:
    """[key]: type, and the value's bytes."""
    def number(value: int) -> tuple[int, bytes]:
        return UINT32, struct.pack("<I", value)

    def real(value: float) -> tuple[int, bytes]:
        return FLOAT32, struct.pack("<f", value)

    kinds = struct.pack(f"<IQ{vocabulary.SIZE}i", INT32, vocabulary.SIZE, *vocabulary.KINDS)
    return {
        "general.architecture": (STRING, _text("llama")),
        "general.name": (STRING, _text(name)),
        "general.file_type": number(F32),
        "llama.block_count": number(shape.layers),
        "llama.context_length": number(shape.context),
        "llama.embedding_length": number(shape.width),
        "llama.feed_forward_length": number(shape.ffn),
        "llama.attention.head_count": number(shape.heads),
        "llama.attention.head_count_kv": number(shape.kv_heads),
        "llama.attention.key_length": number(shape.head_dim),
        "llama.attention.value_length": number(shape.head_dim),
        "llama.attention.layer_norm_rms_epsilon": real(shape.epsilon),
        "llama.rope.dimension_count": number(shape.head_dim),
        "llama.rope.freq_base": real(shape.rope_base),
        "llama.vocab_size": number(vocabulary.SIZE),
        "tokenizer.ggml.model": (STRING, _text("gpt2")),
        "tokenizer.ggml.pre": (STRING, _text("gpt-2")),
        "tokenizer.ggml.tokens": (ARRAY, _texts(vocabulary.token_texts())),
        "tokenizer.ggml.token_type": (ARRAY, kinds),
        "tokenizer.ggml.merges": (ARRAY, _texts([])),
        "tokenizer.ggml.eos_token_id": number(vocabulary.END),
        "tokenizer.ggml.add_bos_token": (BOOL, b"\0"),
        "tokenizer.ggml.add_eos_token": (BOOL, b"\0"),
        "tokenizer.chat_template": (STRING, _text(CHAT_TEMPLATE)),
    }


def _padding(size: int) -> int:
    return -size % ALIGNMENT


def write_gguf(path: str | os.PathLike, shape: LearnerShape, tensors: typing.Mapping[str, typing.Any],
               name: str = "learner") -> None:
    """Writes the file as a whole or not at all. Raises ValueError where a tensor is missing, unknown or of another
    size than tensor_shapes() says."""
    if sys.byteorder != "little":
        raise ValueError("numbers are written as they lie in memory, which must be little-endian")
    shapes = tensor_shapes(shape)
    if shapes.keys() != tensors.keys():
        raise ValueError(f"missing or unknown tensors: {sorted(shapes.keys() ^ tensors.keys())}")
    metadata = _metadata(shape, name)
    head = [b"GGUF", struct.pack("<IQQ", VERSION, len(shapes), len(metadata))]
    head += [_text(key) + struct.pack("<I", kind) + value for key, (kind, value) in metadata.items()]
    data, offset = [], 0
    for tensor, dims in shapes.items():
        values = memoryview(tensors[tensor]).cast("B")
        elements = dims[0] * (dims[1] if len(dims) == 2 else 1)
        if values.nbytes != 4 * elements:
            raise ValueError(f"{tensor} has {values.nbytes} bytes; {list(dims)} floats are {4 * elements}")
        # Columns come first in the file.
        head.append(_text(tensor) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *reversed(dims), F32, offset))
        data += [values, bytes(_padding(values.nbytes))]
        offset += values.nbytes + _padding(values.nbytes)
    head.append(bytes(_padding(sum(map(len, head)))))
    path = pathlib.Path(path)
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "wb") as file:
        file.writelines(head + data)
    unfinished.replace(path)
