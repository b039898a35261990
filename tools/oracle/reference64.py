# SPDX-License-Identifier: Apache-2.0
"""An independent forward pass in float64: reads a GGUF file with its own parser and its own dequantisation, written
from the format's and the models' definitions, and shares nothing with the C++ code.

    python3 tools/oracle/reference64.py MODEL.gguf ID,ID,...     prints the five likeliest next tokens at every position
"""
import mmap
import struct
import sys

import numpy as np

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
          10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
          20: (32, 18), 23: (256, 136), 39: (32, 17)}
IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float64)
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])


class Gguf:
    def __init__(self, data):
        self.data, self.at = data, 0
        magic, _, tensor_count, key_count = self.take("<4sIQQ")
        assert magic == b"GGUF"
        self.keys = {}
        for _ in range(key_count):
            key = self.string()
            self.keys[key] = self.value(self.take("<I")[0])
        self.tensors = {}
        for _ in range(tensor_count):
            name = self.string()
            dims = self.take(f"<{self.take('<I')[0]}Q")
            kind, offset = self.take("<IQ")
            self.tensors[name] = (kind, dims, offset)
        alignment = self.keys.get("general.alignment", 32)
        self.base = -(-self.at // alignment) * alignment

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def string(self):
        length, = self.take("<Q")
        self.at += length
        return self.data[self.at - length:self.at].decode("utf-8", "replace")

    def value(self, kind):
        if kind in SCALARS:
            return self.take(SCALARS[kind])[0]
        if kind == 8:
            return self.string()
        element, count = self.take("<IQ")
        return [self.value(element) for _ in range(count)]

    def has(self, name): return name in self.tensors

    def tensor(self, name, rows=None):
        """As float64, [rows, columns] or [columns]; `rows` picks some rows."""
        kind, dims, offset = self.tensors[name]
        per_block, block_bytes = BLOCKS[kind]
        columns, count = dims[0], int(np.prod(dims[1:], dtype=np.int64))
        row_bytes = columns // per_block * block_bytes
        raw = np.frombuffer(self.data, np.uint8, row_bytes * count, self.base + offset).reshape(count, row_bytes)
        if rows is not None:
            raw = raw[rows]
        out = dequantise(kind, raw.reshape(-1, block_bytes)).reshape(raw.shape[0], columns)
        return out[0] if len(dims) == 1 else out


def halves(block, offset):
    return np.ascontiguousarray(block[:, offset:offset + 2]).view("<f2").astype(np.float64)


def nibbles(packed):
    """Low halves of all bytes, then the high halves."""
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float64)


def fifth_bits(block, offset):
    bits = np.ascontiguousarray(block[:, offset:offset + 4]).view("<u4")
    return ((bits >> np.arange(32, dtype=np.uint32)) & 1).astype(np.float64) * 16


def six_bit_scales(packed):
    """The 8 scales and 8 minima of Q4_K and Q5_K: six bits each, in 12 bytes."""
    low, high, rest = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([low & 63, (rest & 15) | ((low >> 6) << 4)], axis=1)
    minima = np.concatenate([high & 63, (rest >> 4) | ((high >> 6) << 4)], axis=1)
    return scales.astype(np.float64), minima.astype(np.float64)


def dequantise(kind, b):
    n = b.shape[0]
    if kind == 0:
        return b.copy().view("<f4").astype(np.float64)
    if kind == 1:
        return b.copy().view("<f2").astype(np.float64)
    if kind == 30:
        return (b.copy().view("<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if kind == 2:
        return halves(b, 0) * (nibbles(b[:, 2:]) - 8)
    if kind == 3:
        return halves(b, 0) * nibbles(b[:, 4:]) + halves(b, 2)
    if kind == 6:
        return halves(b, 0) * (nibbles(b[:, 6:]) + fifth_bits(b, 2) - 16)
    if kind == 7:
        return halves(b, 0) * (nibbles(b[:, 8:]) + fifth_bits(b, 4)) + halves(b, 2)
    if kind == 8:
        return halves(b, 0) * b[:, 2:].view(np.int8).astype(np.float64)
    if kind == 10:
        scales, packed = b[:, :16], b[:, 16:80].reshape(n, 2, 1, 32)
        quants = (packed >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)) & 3  # [half, shift, 32]
        quants = quants.reshape(n, 16, 16).astype(np.float64)
        d, m = halves(b, 80)[:, :, None], halves(b, 82)[:, :, None]
        return d * (scales & 15)[:, :, None] * quants - m * (scales >> 4)[:, :, None].astype(np.float64)
    if kind == 11:
        mask, packed, s = b[:, :32], b[:, 32:96].reshape(n, 2, 1, 32), b[:, 96:108]
        low = (packed >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)) & 3
        high = (mask[:, None, :] >> np.arange(8, dtype=np.uint8).reshape(1, 8, 1)) & 1
        quants = low.reshape(n, 8, 32).astype(np.float64) + 4 * high - 4
        # Sixteen six-bit scales: low nibbles in bytes 0..7, two high bits each in bytes 8..11.
        low4 = np.concatenate([s[:, :8] & 15, s[:, :8] >> 4], axis=1).astype(np.float64)
        high2 = ((s[:, None, 8:12] >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 4, 1)) & 3).reshape(n, 16)
        scales = low4 + 16 * high2 - 32
        return halves(b, 108)[:, :, None] * scales[:, :, None] * quants.reshape(n, 16, 16)
    if kind in (12, 13):
        scales, minima = six_bit_scales(b[:, 4:16])
        packed = b[:, 16:144] if kind == 12 else b[:, 48:176]
        packed = packed.reshape(n, 4, 32)
        quants = np.stack([packed & 15, packed >> 4], axis=2).reshape(n, 8, 32).astype(np.float64)
        if kind == 13:
            quants += 16 * ((b[:, None, 16:48] >> np.arange(8, dtype=np.uint8).reshape(1, 8, 1)) & 1)
        d, m = halves(b, 0)[:, :, None], halves(b, 2)[:, :, None]
        return d * scales[:, :, None] * quants - m * minima[:, :, None]
    if kind == 14:
        low, high = b[:, :128].reshape(n, 2, 2, 32), b[:, 128:192].reshape(n, 2, 1, 32)
        low = np.concatenate([low & 15, low >> 4], axis=2)  # [half, 4, 32]
        high = (high >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)) & 3
        quants = (low.astype(np.float64) + 16 * high - 32).reshape(n, 16, 16)
        scales = b[:, 192:208].view(np.int8).astype(np.float64)
        return halves(b, 208)[:, :, None] * scales[:, :, None] * quants
    if kind == 20:
        return halves(b, 0) * IQ4[nibbles(b[:, 2:]).astype(int)]
    if kind == 23:
        high, low = np.ascontiguousarray(b[:, 2:4]).view("<u2"), b[:, 4:8]
        low4 = np.stack([low & 15, low >> 4], axis=2).reshape(n, 8).astype(np.float64)
        scales = low4 + 16 * ((high >> np.arange(0, 16, 2, dtype=np.uint16)) & 3) - 32
        packed = b[:, 8:].reshape(n, 8, 16)
        quants = IQ4[np.concatenate([packed & 15, packed >> 4], axis=2)]
        return halves(b, 0)[:, :, None] * scales[:, :, None] * quants
    if kind == 39:
        return 2.0 ** (b[:, :1].astype(np.float64) - 127) * E2M1[nibbles(b[:, 1:]).astype(int)]
    raise ValueError(f"type {kind}")


class Model:
    def __init__(self, data):
        g = self.file = Gguf(data)
        self.architecture = a = g.keys["general.architecture"]
        key = lambda suffix, otherwise=None: g.keys.get(f"{a}.{suffix}", otherwise)
        self.layers, self.width = key("block_count"), key("embedding_length")
        self.heads = key("attention.head_count")
        self.kv_heads = key("attention.head_count_kv", self.heads)
        self.dim = key("attention.key_length", self.width // self.heads)
        self.epsilon = key("attention.layer_norm_rms_epsilon")
        self.rotated = key("rope.dimension_count", self.dim)
        self.window = key("attention.sliding_window", 0) if a in ("gemma3", "gpt-oss") else 0
        pattern = key("attention.sliding_window_pattern", 2 if a == "gpt-oss" else 6)
        flags = pattern if isinstance(pattern, list) else [i % pattern < pattern - 1 for i in range(self.layers)]
        self.windowed = [bool(self.window) and bool(flag) for flag in flags]
        self.attention_cap = key("attn_logit_softcapping", 0.0)
        self.logit_cap = key("final_logit_softcapping", 0.0)
        self.experts, self.experts_used = key("expert_count", 0), key("expert_used_count", 0)
        self.scale = 1 / np.sqrt(self.dim)
        if a == "gemma3" and self.layers == 62:
            self.scale = 1 / np.sqrt(self.width // self.heads)
        factors = g.tensor("rope_freqs.weight") if g.has("rope_freqs.weight") else 1.0
        self.rope = self.frequencies(key, key("rope.freq_base", 10000.0), key("rope.scaling.factor", 1.0), factors)
        self.rope_windowed = self.frequencies(key, key("rope.freq_base_swa", 10000.0), 1.0, 1.0)
        if a == "gpt-oss":
            self.rope_windowed = self.rope

    def frequencies(self, key, base, factor, factors):
        pair = np.arange(self.rotated // 2, dtype=np.float64)
        frequency = base ** (-2 * pair / self.rotated) / factors
        if key("rope.scaling.type", "linear") != "yarn":
            return frequency / factor, 1.0
        context = key("rope.scaling.original_context_length", key("context_length"))
        turns_to_pair = lambda turns: self.rotated * np.log(context / (turns * 2 * np.pi)) / (2 * np.log(base))
        low = turns_to_pair(key("rope.scaling.yarn_beta_fast", 32.0))
        high = turns_to_pair(key("rope.scaling.yarn_beta_slow", 1.0))
        if self.architecture != "gpt-oss":
            low, high = np.floor(low), np.ceil(high)
        low, high = max(0.0, low), min(self.rotated - 1.0, high)
        interpolated = np.clip((pair - low) / max(0.001, high - low), 0, 1)
        frequency = frequency / factor * interpolated + frequency * (1 - interpolated)
        return frequency, 1 + 0.1 * np.log(factor) if factor > 1 else 1.0

    def norm(self, x, name):
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.epsilon) * self.file.tensor(name)

    def linear(self, x, name):
        y = x @ self.file.tensor(name + ".weight").T
        return y + self.file.tensor(name + ".bias") if self.file.has(name + ".bias") else y

    def rotate(self, x, windowed):
        """x: [token, head, dim]; the architecture `llama` turns neighbours, the others the two halves."""
        frequency, magnitude = self.rope_windowed if windowed else self.rope
        angle = np.arange(x.shape[0])[:, None, None] * frequency
        cosine, sine = np.cos(angle) * magnitude, np.sin(angle) * magnitude
        out, half = x.copy(), self.rotated // 2
        if self.architecture == "llama":
            first, second = slice(0, self.rotated, 2), slice(1, self.rotated, 2)
        else:
            first, second = slice(0, half), slice(half, self.rotated)
        a, b = x[..., first], x[..., second]
        out[..., first], out[..., second] = a * cosine - b * sine, a * sine + b * cosine
        return out

    def attention(self, x, layer):
        prefix, windowed = f"blk.{layer}.", self.windowed[layer]
        split = lambda y, heads: y.reshape(len(x), heads, self.dim)
        q = split(self.linear(x, prefix + "attn_q"), self.heads)
        k = split(self.linear(x, prefix + "attn_k"), self.kv_heads)
        v = split(self.linear(x, prefix + "attn_v"), self.kv_heads)
        if self.file.has(prefix + "attn_q_norm.weight"):
            q, k = self.norm(q, prefix + "attn_q_norm.weight"), self.norm(k, prefix + "attn_k_norm.weight")
        q, k = self.rotate(q, windowed), self.rotate(k, windowed)
        k, v = (np.repeat(t, self.heads // self.kv_heads, axis=1) for t in (k, v))
        scores = np.einsum("ihd,jhd->hij", q, k) * self.scale
        if self.attention_cap:
            scores = self.attention_cap * np.tanh(scores / self.attention_cap)
        i, j = np.arange(len(x))[:, None], np.arange(len(x))[None, :]
        hidden = (j > i) | (windowed & (i - j >= self.window))
        scores = np.where(hidden, -np.inf, scores)
        if self.file.has(prefix + "attn_sinks.weight"):  # one more score, whose value is nothing
            sinks = self.file.tensor(prefix + "attn_sinks.weight")[:, None, None]
            scores = np.concatenate([scores, np.broadcast_to(sinks, scores[:, :, :1].shape)], axis=-1)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        y = np.einsum("hij,jhd->ihd", scores[:, :, :len(x)], v)
        return self.linear(y.reshape(len(x), -1), prefix + "attn_output")

    def activation(self, gate, up):
        if self.architecture == "gpt-oss":
            gate = np.minimum(gate, 7)
            return gate / (1 + np.exp(-1.702 * gate)) * (np.clip(up, -7, 7) + 1)
        if self.architecture == "gemma3":
            return up * 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate ** 3)))
        return up * gate / (1 + np.exp(-gate))

    def feed_forward(self, x, prefix, suffix=""):
        gate, up = self.linear(x, f"{prefix}ffn_gate{suffix}"), self.linear(x, f"{prefix}ffn_up{suffix}")
        return self.linear(self.activation(gate, up), f"{prefix}ffn_down{suffix}")

    def mixture(self, x, prefix):
        stack = lambda name, columns: self.file.tensor(f"{prefix}{name}_exps.weight").reshape(self.experts, -1, columns)
        gate, up = stack("ffn_gate", self.width), stack("ffn_up", self.width)
        down = stack("ffn_down", gate.shape[1])
        bias = lambda name: (self.file.tensor(f"{prefix}{name}_exps.bias") if self.architecture == "gpt-oss"
                             else np.zeros((self.experts, 1)))
        share = np.exp(self.linear(x, prefix + "ffn_gate_inp"))
        share /= share.sum(axis=1, keepdims=True)
        y = np.zeros_like(x)
        for token in range(len(x)):
            best = np.argsort(-share[token])[:self.experts_used]
            weights = share[token][best]
            if self.architecture != "qwen2moe":
                weights = weights / weights.sum()
            for expert, weight in zip(best, weights):
                inner = self.activation(gate[expert] @ x[token] + bias("ffn_gate")[expert],
                                        up[expert] @ x[token] + bias("ffn_up")[expert])
                y[token] += weight * (down[expert] @ inner + bias("ffn_down")[expert])
        if self.architecture == "qwen2moe":
            shared_share = 1 / (1 + np.exp(-x @ self.file.tensor(prefix + "ffn_gate_inp_shexp.weight")))
            y += shared_share[:, None] * self.feed_forward(x, prefix, "_shexp")
        return y

    def logits(self, tokens):
        """[token, vocabulary]"""
        x = self.file.tensor("token_embd.weight", rows=np.array(tokens))
        gemma = self.architecture == "gemma3"
        if gemma:
            x = x * np.sqrt(self.width)
        for layer in range(self.layers):
            prefix = f"blk.{layer}."
            y = self.attention(self.norm(x, prefix + "attn_norm.weight"), layer)
            x = x + (self.norm(y, prefix + "post_attention_norm.weight") if gemma else y)
            norm = "post_attention_norm" if self.architecture == "gpt-oss" else "ffn_norm"
            y = self.norm(x, f"{prefix}{norm}.weight")
            y = self.mixture(y, prefix) if self.experts else self.feed_forward(y, prefix)
            x = x + (self.norm(y, prefix + "post_ffw_norm.weight") if gemma else y)
        x = self.norm(x, "output_norm.weight")
        x = self.linear(x, "output" if self.file.has("output.weight") else "token_embd")
        return self.logit_cap * np.tanh(x / self.logit_cap) if self.logit_cap else x


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        model = Model(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    for position, row in enumerate(model.logits([int(t) for t in sys.argv[2].split(",")])):
        best = np.argsort(-row)[:5]
        print(position, " ".join(f"{token}:{row[token]:.4f}" for token in best))
