# SPDX-License-Identifier: Apache-2.0
"""The model that train.py trains: llama's layers in PyTorch, put so that a CPU spends its time in products of matrices.

Three things differ from what is in the file, none of them in the numbers that come out:

  norms      subtract the mean, because PyTorch's layer norm is one pass and an RMS norm in parts is ten. For vectors
             whose mean is nothing both are the same: exported() takes the mean out of all that is added to the residual
             stream.
  gains      of norms are one: the matrix behind a norm can hold them.
  matrices   that read the same input are one.

Attention and the gated product know their own derivatives, which saves the passes that copies and sums of parts would
take. Written for PyTorch 1.13 and later; learner_test.py compares both with the plain words for them.
"""
import math

import torch
from torch.nn import functional

import vocabulary
from gguf_writer import LearnerShape

BLOCK = 64  # queries that are looked at together; keys behind them need no scores


def _rotated(pairs: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Neighbours in the last dimension turned as complex numbers, in the input's type; a new tensor."""
    numbers = torch.view_as_complex(pairs.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(numbers * turns).flatten(-2).to(pairs.dtype)


def _by_group(heads: torch.Tensor, kv_heads: int) -> torch.Tensor:
    """[sequence, position, head, dim] to [sequence * kv_head, position * head of its group, dim]. With one KV head
    nothing moves."""
    sequences, length, count, dim = heads.shape
    if kv_heads == 1:
        return heads.reshape(sequences, length * count, dim)
    grouped = heads.reshape(sequences, length, kv_heads, count // kv_heads, dim).transpose(1, 2)
    return grouped.reshape(sequences * kv_heads, length * (count // kv_heads), dim)


def _by_position(grouped: torch.Tensor, length: int, kv_heads: int) -> torch.Tensor:
    """The way back of _by_group()."""
    group, dim = grouped.shape[1] // length, grouped.shape[2]
    heads = grouped.view(-1, kv_heads, length, group, dim).transpose(1, 2)
    return heads.reshape(-1, length, kv_heads * group, dim)


def _ancestors(exits: torch.Tensor) -> torch.Tensor:
    """[sequence, position that sees, position]: 0 where it is an ancestor or the same, else minus infinity."""
    places = torch.arange(exits.shape[1])
    seen = (places[:, None] >= places) & (places[:, None] < exits[:, None, :])
    return torch.zeros(seen.shape).masked_fill_(~seen, -math.inf)


class _Attention(torch.autograd.Function):
    """Attention with rotated queries and keys: [sequence, position, heads + 2 kv_heads, dim], values last, to
    [sequence, position, heads, dim]. `turns`: [position, 1, dim / 2], or of each sequence. Causal; `mask`, if there is
    one, is added to scores and hides more: [sequence, position that sees, position]."""

    @staticmethod
    def forward(ctx, stacked, turns, kv_heads, mask):
        length, heads, dim = stacked.shape[1], stacked.shape[2] - 2 * kv_heads, stacked.shape[3]
        query = _by_group(_rotated(stacked[:, :, :heads], turns * dim ** -0.5), kv_heads)
        key = _by_group(_rotated(stacked[:, :, heads:heads + kv_heads], turns), kv_heads)
        value = _by_group(stacked[:, :, heads + kv_heads:], kv_heads)
        group = heads // kv_heads
        hidden = torch.full((BLOCK, BLOCK), -math.inf, dtype=stacked.dtype).triu(1).repeat_interleave(group, 0)
        if mask is not None:
            mask = mask.to(stacked.dtype).repeat_interleave(kv_heads, 0).unsqueeze(2)
        out, shares = torch.empty_like(query), []
        for begin in range(0, length, BLOCK):
            end = min(length, begin + BLOCK)
            rows = slice(begin * group, end * group)
            scores = torch.bmm(query[:, rows], key[:, :end].transpose(1, 2))
            if mask is None:
                scores[:, :, begin:] += hidden[:(end - begin) * group, :end - begin]
            else:
                scores.view(-1, end - begin, group, end).add_(mask[:, begin:end, :, :end])
            shares.append(torch.softmax(scores, -1))
            out[:, rows] = torch.bmm(shares[-1], value[:, :end])
        ctx.kv_heads = kv_heads
        ctx.save_for_backward(query, key, value, turns, *shares)
        return _by_position(out, length, kv_heads)

    @staticmethod
    def backward(ctx, gradient):
        query, key, value, turns, *shares = ctx.saved_tensors
        length, dim = key.shape[1], key.shape[2]
        group = query.shape[1] // length
        gradient = _by_group(gradient, ctx.kv_heads)
        of_query, of_key, of_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for place, share in enumerate(shares):
            end = share.shape[2]
            rows = slice(place * BLOCK * group, end * group)
            of_value[:, :end] += torch.bmm(share.transpose(1, 2), gradient[:, rows])
            of_share = torch.bmm(gradient[:, rows], value[:, :end].transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_share, share, -1, share.dtype)
            of_query[:, rows] = torch.bmm(of_scores, key[:, :end])
            of_key[:, :end] += torch.bmm(of_scores.transpose(1, 2), query[:, rows])
        back = turns.conj().resolve_conj()
        of_query, of_key, of_value = (_by_position(part, length, ctx.kv_heads) for part in (of_query, of_key, of_value))
        parts = [_rotated(of_query, back * dim ** -0.5), _rotated(of_key, back), of_value]
        return torch.cat(parts, 2), None, None, None


class _GatedProduct(torch.autograd.Function):
    """silu(gate) * up of [row, gates then ups]. What is not a product of matrices is computed in 32 bits: on a CPU that
    is faster as well as closer."""

    @staticmethod
    def forward(ctx, stacked):
        gate, up = stacked.float().chunk(2, -1)
        opened = functional.silu(gate)
        ctx.save_for_backward(stacked, opened)
        return (opened * up).to(stacked.dtype)

    @staticmethod
    def backward(ctx, gradient):
        stacked, opened = ctx.saved_tensors
        gate, up = stacked.float().chunk(2, -1)
        gradient = gradient.float()
        of_stacked = torch.empty(stacked.shape)
        of_gate, of_up = of_stacked.chunk(2, -1)
        torch.mul(gradient, opened, out=of_up)
        torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=of_gate)
        return of_stacked.to(stacked.dtype)


class Learner(torch.nn.Module):
    """Weights are floats of 32 bits; products are computed in `kind`, torch.float32 or torch.bfloat16."""

    def __init__(self, shape: LearnerShape, seed: int, kind: torch.dtype = torch.float32):
        super().__init__()
        self.shape, self.kind = shape, kind
        random = torch.Generator().manual_seed(seed)

        def matrix(outputs: int, inputs: int, scale: float = 1.0) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.randn(outputs, inputs, generator=random) * (scale * inputs ** -0.5))

        query, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        to_stream = (2 * shape.layers) ** -0.5  # so that all layers together add about as much as one
        self.embedding = torch.nn.Parameter(torch.randn(vocabulary.SIZE, shape.width, generator=random) * 0.1)
        self.layers = torch.nn.ModuleList(torch.nn.ParameterDict({
            "query_key_value": matrix(query + 2 * kv, shape.width),
            "attention_output": matrix(shape.width, query, to_stream),
            "gate_up": matrix(2 * shape.ffn, shape.width),
            "down": matrix(shape.width, shape.ffn, to_stream),
        }) for _ in range(shape.layers))
        self.output = matrix(vocabulary.SIZE, shape.width)
        angles = torch.outer(torch.arange(shape.context, dtype=torch.float64),
                             shape.rope_base ** (-torch.arange(0, shape.head_dim, 2, dtype=torch.float64)
                                                 / shape.head_dim))
        self.turns = torch.polar(torch.ones_like(angles), angles).to(torch.complex64).unsqueeze(1)

    def loss(self, tokens: torch.Tensor, places: torch.Tensor, targets: torch.Tensor,
             depths: torch.Tensor | None = None, exits: torch.Tensor | None = None) -> torch.Tensor:
        """The sum of -ln p(target) over places, which count rows of `tokens`, [sequence, position], one after
        another. Of tries (tries.py) with the depth and the exit of each token."""
        return functional.cross_entropy(self.logits(tokens, places, depths, exits), targets, reduction="sum")

    def logits(self, tokens: torch.Tensor, places: torch.Tensor, depths: torch.Tensor | None = None,
               exits: torch.Tensor | None = None) -> torch.Tensor:
        shape = self.shape
        sequences, length = tokens.shape
        turns = self.turns[:length] if depths is None else self.turns[depths]
        mask = None if exits is None else _ancestors(exits)
        stream = functional.embedding(tokens.view(-1), self.embedding)
        for layer in self.layers:
            stacked = self._product(self._norm(stream), layer["query_key_value"])
            seen = _Attention.apply(stacked.view(sequences, length, -1, shape.head_dim), turns, shape.kv_heads, mask)
            stream = stream + self._product(seen.view(stream.shape[0], -1), layer["attention_output"]).float()
            gated = _GatedProduct.apply(self._product(self._norm(stream), layer["gate_up"]))
            stream = stream + self._product(gated, layer["down"]).float()
        return self._product(self._norm(stream.index_select(0, places)), self.output).float()

    def _norm(self, stream: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(stream, stream.shape[-1:], None, None, self.shape.epsilon)

    def _product(self, rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        return functional.linear(rows.to(self.kind), matrix.to(self.kind))

    @torch.no_grad()
    def exported(self) -> dict[str, object]:
        """The tensors of gguf_writer.tensor_shapes(), as arrays of numpy."""
        shape = self.shape
        query, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        gain = torch.ones(shape.width)
        tensors = {"token_embd.weight": self.embedding - self.embedding.mean(1, keepdim=True),
                   "output_norm.weight": gain, "output.weight": self.output}
        for place, layer in enumerate(self.layers):
            of_query, of_key, of_value = layer["query_key_value"].split([query, kv, kv])
            of_gate, of_up = layer["gate_up"].chunk(2)
            tensors |= {f"blk.{place}.{name}.weight": value for name, value in {
                "attn_norm": gain, "attn_q": of_query, "attn_k": of_key, "attn_v": of_value,
                "attn_output": layer["attention_output"] - layer["attention_output"].mean(0, keepdim=True),
                "ffn_norm": gain, "ffn_gate": of_gate, "ffn_up": of_up,
                "ffn_down": layer["down"] - layer["down"].mean(0, keepdim=True),
            }.items()}
        return {name: value.detach().float().contiguous().numpy() for name, value in tensors.items()}
