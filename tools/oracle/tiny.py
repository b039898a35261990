# SPDX-License-Identifier: Apache-2.0
"""Tiny random models as GGUF files: the same bytes as src/testing/tiny_model.cc, by whole-number arithmetic only.

    python3 tools/oracle/tiny.py FOLDER     writes every model of the zoo
"""
import pathlib
import struct
import sys

import numpy as np

LAYERS, WIDTH, FFN, HEADS, VOCABULARY = 2, 256, 512, 4, 288
EXPERTS, EXPERTS_USED, EXPERT_FFN = 6, 2, 256
MASK = (1 << 64) - 1

# name: (number, elements per block, bytes per block, [(offset, exponent, negated) of half-precision scales])
TYPES = {
    "F32": (0, 1, 4, []), "F16": (1, 1, 2, []), "BF16": (30, 1, 2, []),
    "Q4_0": (2, 32, 18, [(0, 9, False)]), "Q4_1": (3, 32, 20, [(0, 9, False), (2, 12, True)]),
    "Q5_0": (6, 32, 22, [(0, 8, False)]), "Q5_1": (7, 32, 24, [(0, 8, False), (2, 12, True)]),
    "Q8_0": (8, 32, 34, [(0, 5, False)]), "Q2_K": (10, 256, 84, [(80, 8, False), (82, 8, False)]),
    "Q3_K": (11, 256, 110, [(108, 5, False)]), "Q4_K": (12, 256, 144, [(0, 4, False), (2, 7, False)]),
    "Q5_K": (13, 256, 176, [(0, 3, False), (2, 7, False)]), "Q6_K": (14, 256, 210, [(208, 1, False)]),
    "IQ4_NL": (20, 32, 18, [(0, 5, False)]), "IQ4_XS": (23, 256, 136, [(0, 1, False)]), "MXFP4": (39, 32, 17, []),
}
TYPE_ORDER = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
              "IQ4_NL", "IQ4_XS", "MXFP4"]
VARIANTS = [("llama", "linear"), ("llama", "llama3"), ("llama", "yarn"), ("llama", "bias"), ("llama", "mixed"),
            ("qwen2", "yarn"), ("qwen2", "partial"), ("qwen2", "mixed"), ("qwen3", "yarn"), ("qwen3", "linear"),
            ("gemma3", "linear"), ("gemma3", "flags"), ("gemma3", "caps"), ("gemma3", "mixed")]


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def mix(x):
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def random_words(seed, count, first=0):
    """Numbers `first`, first + 1, ... of stream `seed`: base/random.h."""
    with np.errstate(over="ignore"):
        golden = np.uint64(0x9E3779B97F4A7C15)
        start = mix(np.array([seed & MASK], np.uint64) + golden)
        return mix(start + (np.arange(count, dtype=np.uint64) + np.uint64(first & MASK)) * golden)


def random_floats(words, mantissa_bits, exponent_bits, low, positive):
    mantissa = words & np.uint64((1 << mantissa_bits) - 1)
    exponent = np.uint64(low) + (words >> np.uint64(32)) % np.uint64(3)
    sign = np.uint64(0) if positive else words >> np.uint64(63)
    return (sign << np.uint64(mantissa_bits + exponent_bits)) | (exponent << np.uint64(mantissa_bits)) | mantissa


def random_blocks(kind, elements, seed):
    if kind == "F32":
        return random_floats(random_words(seed, elements), 23, 8, 121, False).astype("<u4").tobytes()
    if kind == "F16":
        return random_floats(random_words(seed, elements), 10, 5, 9, False).astype("<u2").tobytes()
    if kind == "BF16":
        return random_floats(random_words(seed, elements), 7, 8, 121, False).astype("<u2").tobytes()
    _, per_block, block_bytes, fields = TYPES[kind]
    blocks = elements // per_block
    size = blocks * block_bytes
    raw = np.frombuffer(random_words(seed, (size + 7) // 8).astype("<u8").tobytes()[:size], np.uint8).copy()
    raw = raw.reshape(blocks, block_bytes)
    words = random_words(~seed, blocks)
    if kind == "MXFP4":
        raw[:, 0] = (words % np.uint64(3)).astype(np.uint8) + 120
    sign = words >> np.uint64(63)
    for i, (offset, exponent, negated) in enumerate(fields):
        if negated:
            sign = sign ^ np.uint64(1)
        mantissa = (words >> np.uint64(10 * i)) & np.uint64(0x3FF)
        bits = (sign << np.uint64(15)) | np.uint64(exponent << 10) | mantissa
        raw[:, offset:offset + 2] = bits.astype("<u2").view(np.uint8).reshape(blocks, 2)
    return raw.tobytes()


class Metadata:
    def __init__(self):
        self.out, self.count = b"", 0

    @staticmethod
    def string(value):
        data = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<Q", len(data)) + data

    def add(self, key, kind, payload):
        self.out += self.string(key) + struct.pack("<I", kind) + payload
        self.count += 1

    def number(self, key, value): self.add(key, 4, struct.pack("<I", value))
    def real(self, key, value): self.add(key, 6, struct.pack("<f", value))
    def flag(self, key, value): self.add(key, 7, struct.pack("<B", value))
    def text(self, key, value): self.add(key, 8, self.string(value))
    def texts(self, key, values): self.array(key, 8, [self.string(v) for v in values])
    def numbers(self, key, values): self.array(key, 5, [struct.pack("<i", v) for v in values])
    def flags(self, key, values): self.array(key, 7, [struct.pack("<B", v) for v in values])

    def array(self, key, kind, items):
        self.add(key, 9, struct.pack("<IQ", kind, len(items)) + b"".join(items))


def byte_tokens():
    tokens, following = [], 0x100
    for byte in range(256):
        printable = 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or byte >= 0xAE
        tokens.append(chr(byte if printable else following))
        following += not printable
    return tokens


SPACE = "\u0120"
PAIRS = "t h,th e,i n,e r,a n,o n,r e,e n,a t,o r,i s,e s,i t,o u,a l,s t,a r,in g,i on,an d"
MERGES = ([pair.split() for pair in PAIRS.split(",")]
          + [[SPACE, x] for x in ["the", "a", "s", "w", "o", "c", "b", "f", "and"]])


class Builder:
    def __init__(self, architecture, kind, tied, variant):
        self.architecture, self.kind, self.tied, self.variant = architecture, kind, tied, variant
        self.name = f"{architecture}/{kind}/{'tied' if tied else 'separate'}/{variant}"
        self.gpt_oss = architecture == "gpt-oss"
        self.mixture = self.gpt_oss or architecture.endswith("moe")
        self.large_heads = architecture in ("qwen3", "qwen3moe", "gemma3")
        self.head_dim = 128 if self.large_heads else 64
        self.kv_heads = 1 if architecture == "gemma3" else 2
        self.metadata, self.tensors = Metadata(), []

    def key(self, suffix): return f"{self.architecture}.{suffix}"

    def sizes(self):
        m, key = self.metadata, self.key
        m.text("general.architecture", self.architecture)
        m.text("general.name", "tiny " + self.name)
        m.number(key("block_count"), LAYERS)
        m.number(key("context_length"), 512)
        m.number(key("embedding_length"), WIDTH)
        m.number(key("feed_forward_length"), FFN)
        m.number(key("attention.head_count"), HEADS)
        m.number(key("attention.head_count_kv"), self.kv_heads)
        m.real(key("attention.layer_norm_rms_epsilon"), 2.0 ** -17)
        if self.mixture:
            m.number(key("expert_count"), EXPERTS)
            m.number(key("expert_used_count"), EXPERTS_USED)
            m.number(key("expert_feed_forward_length"), EXPERT_FFN)
        if self.architecture == "qwen2moe":
            m.number(key("expert_shared_feed_forward_length"), FFN)
        if self.large_heads:
            m.number(key("attention.key_length"), self.head_dim)
            m.number(key("attention.value_length"), self.head_dim)
        if self.gpt_oss:
            m.number(key("attention.sliding_window"), 8)
        if self.architecture == "gemma3":
            m.number(key("attention.sliding_window"), 8)
            if self.variant == "flags":
                m.flags(key("attention.sliding_window_pattern"), [0, 1])
            else:
                m.number(key("attention.sliding_window_pattern"), 2)
        if self.variant == "caps":
            m.real(key("attn_logit_softcapping"), 2)
            m.real(key("final_logit_softcapping"), 4)

    def rope(self):
        m, key = self.metadata, self.key
        m.real(key("rope.freq_base"), 10000 if self.architecture == "llama" else 1000000)
        if self.variant == "partial":
            m.number(key("rope.dimension_count"), self.head_dim // 2)
        yarn = self.gpt_oss or self.variant == "yarn"
        if yarn or self.variant == "linear":
            m.text(key("rope.scaling.type"), "yarn" if yarn else "linear")
            m.real(key("rope.scaling.factor"), 4)
        if yarn:
            m.number(key("rope.scaling.original_context_length"), 128)

    def tokenizer(self):
        specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        m = self.metadata
        m.text("tokenizer.ggml.model", "gpt2")
        m.text("tokenizer.ggml.pre", "smollm")
        m.texts("tokenizer.ggml.tokens", byte_tokens() + specials + ["".join(pair) for pair in MERGES])
        m.numbers("tokenizer.ggml.token_type", [1] * 256 + [3] * 3 + [1] * len(MERGES))
        m.texts("tokenizer.ggml.merges", [" ".join(pair) for pair in MERGES])
        m.number("tokenizer.ggml.bos_token_id", 256)
        m.number("tokenizer.ggml.eos_token_id", 258)
        m.flag("tokenizer.ggml.add_bos_token", False)
        m.text("tokenizer.chat_template",
               "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
               "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
               "{% endif %}")

    def seed(self, name):
        return int(random_words(fnv(self.name.encode()), 1, fnv(name.encode()))[0])

    def matrix(self, name, columns, rows, count=0):
        kind = TYPE_ORDER[fnv(name.encode()) % len(TYPE_ORDER)] if self.variant == "mixed" else self.kind
        data = random_blocks(kind, columns * rows * max(count, 1), self.seed(name))
        self.tensors.append((name, kind, [columns, rows] + ([count] if count else []), data))

    def bias(self, name, size): self.floats(name, [size])

    def floats(self, name, dims):
        self.tensors.append((name, "F32", dims, random_blocks("F32", int(np.prod(dims)), self.seed(name))))

    def positives(self, name, size, low):
        data = random_floats(random_words(self.seed(name), size), 23, 8, low, True).astype("<u4").tobytes()
        self.tensors.append((name, "F32", [size], data))

    def add_tensors(self):
        self.matrix("token_embd.weight", WIDTH, VOCABULARY)
        if not self.tied:
            self.matrix("output.weight", WIDTH, VOCABULARY)
        self.positives("output_norm.weight", WIDTH, 125)
        if self.variant == "llama3":
            self.positives("rope_freqs.weight", self.head_dim // 2, 127)
        for layer in range(LAYERS):
            self.add_layer(f"blk.{layer}.")

    def add_layer(self, prefix):
        query, kv = HEADS * self.head_dim, self.kv_heads * self.head_dim
        biases = self.gpt_oss or self.variant == "bias"
        gemma = self.architecture == "gemma3"
        self.positives(prefix + "attn_norm.weight", WIDTH, 125)
        for name, outputs in (("attn_q", query), ("attn_k", kv), ("attn_v", kv)):
            self.matrix(prefix + name + ".weight", WIDTH, outputs)
            if biases or self.architecture in ("qwen2", "qwen2moe"):
                self.bias(prefix + name + ".bias", outputs)
        if self.large_heads:
            self.positives(prefix + "attn_q_norm.weight", self.head_dim, 126)
            self.positives(prefix + "attn_k_norm.weight", self.head_dim, 126)
        self.matrix(prefix + "attn_output.weight", query, WIDTH)
        if biases:
            self.bias(prefix + "attn_output.bias", WIDTH)
        if gemma:
            self.positives(prefix + "post_attention_norm.weight", WIDTH, 125)
        if self.gpt_oss and self.variant != "sinkless":
            self.bias(prefix + "attn_sinks.weight", HEADS)
        norm = "post_attention_norm.weight" if self.gpt_oss else "ffn_norm.weight"
        self.positives(prefix + norm, WIDTH, 128 if self.gpt_oss else 125)
        if self.mixture:
            return self.add_experts(prefix)
        for name in ("ffn_gate", "ffn_up"):
            self.matrix(prefix + name + ".weight", WIDTH, FFN)
            if biases:
                self.bias(prefix + name + ".bias", FFN)
        self.matrix(prefix + "ffn_down.weight", FFN, WIDTH)
        if biases:
            self.bias(prefix + "ffn_down.bias", WIDTH)
        if gemma:
            self.positives(prefix + "post_ffw_norm.weight", WIDTH, 125)

    def add_experts(self, prefix):
        self.floats(prefix + "ffn_gate_inp.weight", [WIDTH, EXPERTS])
        self.matrix(prefix + "ffn_gate_exps.weight", WIDTH, EXPERT_FFN, EXPERTS)
        self.matrix(prefix + "ffn_up_exps.weight", WIDTH, EXPERT_FFN, EXPERTS)
        self.matrix(prefix + "ffn_down_exps.weight", EXPERT_FFN, WIDTH, EXPERTS)
        if self.gpt_oss:
            self.bias(prefix + "ffn_gate_inp.bias", EXPERTS)
            self.floats(prefix + "ffn_gate_exps.bias", [EXPERT_FFN, EXPERTS])
            self.floats(prefix + "ffn_up_exps.bias", [EXPERT_FFN, EXPERTS])
            self.floats(prefix + "ffn_down_exps.bias", [WIDTH, EXPERTS])
        if self.architecture == "qwen2moe":
            self.floats(prefix + "ffn_gate_inp_shexp.weight", [WIDTH])
            self.matrix(prefix + "ffn_gate_shexp.weight", WIDTH, FFN)
            self.matrix(prefix + "ffn_up_shexp.weight", WIDTH, FFN)
            self.matrix(prefix + "ffn_down_shexp.weight", FFN, WIDTH)

    def file(self):
        self.sizes()
        self.rope()
        self.tokenizer()
        self.add_tensors()
        out = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), self.metadata.count) + self.metadata.out
        offset = 0
        for name, kind, dims, data in self.tensors:
            out += Metadata.string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, TYPES[kind][0], offset)
            offset += (len(data) + 31) // 32 * 32
        parts = [out + bytes(-len(out) % 32)]
        parts += [data + bytes(-len(data) % 32) for _, _, _, data in self.tensors]
        return b"".join(parts)


def zoo():
    models, tied = [], False
    for architecture in ("llama", "qwen2", "qwen3", "gemma3"):
        for kind in TYPE_ORDER:
            tied = not tied
            models.append(Builder(architecture, kind, tied, "plain"))
    for architecture, variant in VARIANTS:
        tied = not tied
        models.append(Builder(architecture, "Q8_0", tied, variant))
    for architecture in ("qwen2moe", "qwen3moe", "gpt-oss"):
        for kind in ("F16", "Q8_0", "Q4_K", "MXFP4"):
            tied = not tied
            models.append(Builder(architecture, kind, tied, "mixed" if kind == "Q8_0" else "plain"))
    models.append(Builder("gpt-oss", "MXFP4", True, "sinkless"))
    return models


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for model in zoo():
        (folder / (model.name.replace("/", "-") + ".gguf")).write_bytes(model.file())
