# SPDX-License-Identifier: Apache-2.0
"""That learner.py computes what its file says, and the derivatives of that. Needs PyTorch; run it with the Python that
has it: `/usr/bin/python3 bench/learners/learner_test.py`."""
import unittest

import numpy
import torch
from torch.nn import functional

import texts
import tries
import vocabulary
from gguf_writer import LearnerShape, tensor_shapes
from learner import BLOCK, Learner


def plain_loss(shape: LearnerShape, tensors: dict[str, torch.Tensor], tokens, places, targets) -> torch.Tensor:
    """Of the model in the file, in the words of its format."""
    sequences, length = tokens.shape

    def norm(stream, gain):
        return stream * torch.rsqrt(stream.pow(2).mean(-1, keepdim=True) + shape.epsilon) * tensors[gain]

    def rotated(heads):  # [sequence, position, head, dim]
        rates = shape.rope_base ** (-torch.arange(0, shape.head_dim, 2).double() / shape.head_dim)
        angles = torch.outer(torch.arange(length).double(), rates)[:, None]
        even, odd = heads[..., 0::2], heads[..., 1::2]
        turned = even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos()
        return torch.stack(turned, -1).flatten(-2)

    stream = tensors["token_embd.weight"][tokens]
    hidden = torch.full((length, length), -torch.inf).triu(1)
    for layer in range(shape.layers):
        def product(rows, name):
            return functional.linear(rows, tensors[f"blk.{layer}.{name}.weight"])

        inner = norm(stream, f"blk.{layer}.attn_norm.weight")
        query, key, value = (product(inner, name).view(sequences, length, -1, shape.head_dim)
                             for name in ("attn_q", "attn_k", "attn_v"))
        query = rotated(query).transpose(1, 2)
        key, value = (part.transpose(1, 2).repeat_interleave(shape.heads // shape.kv_heads, 1)
                      for part in (rotated(key), value))
        shares = torch.softmax(query @ key.transpose(2, 3) * shape.head_dim ** -0.5 + hidden, -1)
        stream = stream + product((shares @ value).transpose(1, 2).flatten(2), "attn_output")
        inner = norm(stream, f"blk.{layer}.ffn_norm.weight")
        stream = stream + product(functional.silu(product(inner, "ffn_gate")) * product(inner, "ffn_up"), "ffn_down")
    logits = functional.linear(norm(stream, "output_norm.weight"), tensors["output.weight"])
    return functional.cross_entropy(logits.flatten(0, 1)[places], targets, reduction="sum")


def some_batch(context: int) -> texts.Batch:
    found = texts.Texts(context)
    for length in (3, 2 * BLOCK, 2 * BLOCK + 5):
        found.add("Current state: 24", "".join(str(i % 7) for i in range(length)), False)
    return found.batch(numpy.arange(len(found)))


class LearnerTest(unittest.TestCase):
    def compare(self, **more):
        shape = LearnerShape(layers=2, width=32, head_dim=16, ffn=48, context=256, **more)
        learner = Learner(shape, seed=3)
        batch = some_batch(shape.context)
        rows = tuple(map(torch.from_numpy, batch[:3]))
        tensors = {name: torch.from_numpy(value).double().requires_grad_()
                   for name, value in learner.exported().items()}
        self.assertEqual({name: tuple(value.shape) for name, value in tensors.items()}, tensor_shapes(shape))
        loss, wanted = learner.loss(*rows), plain_loss(shape, tensors, *rows)
        self.assertAlmostEqual(loss.item() / wanted.item(), 1, delta=1e-6)
        loss.backward()
        wanted.backward()
        query, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        pairs = [(learner.embedding, "token_embd"), (learner.output, "output")]
        for place, layer in enumerate(learner.layers):
            pairs += [(layer["attention_output"], f"blk.{place}.attn_output"), (layer["down"], f"blk.{place}.ffn_down")]
            found = dict(zip(("attn_q", "attn_k", "attn_v"), layer["query_key_value"].grad.split([query, kv, kv])))
            found |= dict(zip(("ffn_gate", "ffn_up"), layer["gate_up"].grad.chunk(2)))
            for name, gradient in found.items():
                self.assert_near(gradient, tensors[f"blk.{place}.{name}.weight"].grad, name)
        for parameter, name in pairs:
            gradient = tensors[f"{name}.weight"].grad
            # A mean that is taken out passes no gradient on.
            if name != "output":
                gradient = gradient - gradient.mean(1 if name == "token_embd" else 0, keepdim=True)
            self.assert_near(parameter.grad, gradient, name)

    def assert_near(self, found, wanted, name):
        self.assertLess((found - wanted).norm().item(), 1e-5 * wanted.norm().item(), name)

    def test_one_kv_head(self):
        self.compare(heads=3, kv_heads=1)

    def test_two_kv_heads(self):
        self.compare(heads=4, kv_heads=2)

    def test_bfloat16_is_near(self):
        shape = LearnerShape(layers=2, width=64, heads=2, head_dim=32, ffn=96, context=256)
        rows = tuple(map(torch.from_numpy, some_batch(shape.context)[:3]))
        losses, gradients = [], []
        for kind in (torch.float32, torch.bfloat16):
            learner = Learner(shape, 3, kind)
            losses.append(learner.loss(*rows))
            losses[-1].backward()
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in learner.parameters()]))
        self.assertAlmostEqual(losses[1].item() / losses[0].item(), 1, delta=0.01)
        self.assertLess((gradients[1] - gradients[0]).norm(), 0.04 * gradients[0].norm())


class TriesTest(unittest.TestCase):
    PROMPT = "What is 2*3+4*5?\nThreads:\n"
    OPENING = "<Parallel>\n<Outlines>\n<Outline>1: 2*3</Outline>\n<Outline>2: 4*5</Outline>\n</Outlines>"
    TEXT = OPENING + "\n<Thread>\n1: 2*3=6</Thread><Thread>\n2: 4*5=20</Thread>\n</Parallel>\n6+20=26\nAnswer: 26"

    def test_golden(self):
        """Context a b, outlines c d, threads (e f) and (g h), tail i."""
        trie = tries.flatten([tries.Strand([*text.encode()], [True] * len(text)) for text in ("abcdefghi", "abcdgh")])
        self.assertEqual(bytes(trie.tokens), b"abcdefghigh")
        self.assertEqual(trie.depths, [*range(9), 4, 5])
        self.assertEqual(trie.parents, [*range(-1, 8), 3, 9])
        seen = [place for place in range(11) if trie.exits[place] > 10]
        self.assertEqual(bytes(trie.tokens[place] for place in seen), b"abcdgh")

    def test_strands_are_what_the_strategy_reads_and_writes(self):
        def ids(*pieces):
            return [token for piece in pieces for token in vocabulary.encode(piece)]

        whole, second = tries.strands(self.PROMPT, self.TEXT)
        before = ids(self.PROMPT, self.OPENING)
        self.assertEqual(second.tokens, before + ids("\n<Thread>\n2:", " 4*5=20", "</Thread>"))
        self.assertEqual(whole.tokens, before + ids("\n<Thread>\n1:", " 2*3=6", "</Thread>")
                         + ids("<Thread>\n2:", " 4*5=20", "</Thread>", "\n")
                         + ids("</Parallel>\n6+20=26\nAnswer: 26") + [vocabulary.END])
        learned = [token for token, is_learned in zip(*whole) if is_learned]
        self.assertEqual(learned, ids(self.OPENING, " 2*3=6", "</Thread>", " 4*5=20", "</Thread>")
                         + ids("</Parallel>\n6+20=26\nAnswer: 26") + [vocabulary.END])
        self.assertEqual([token for token, is_learned in zip(*second) if is_learned],
                         ids(self.OPENING, " 4*5=20", "</Thread>"))

    def test_what_threads_share_is_there_once(self):
        sequences = tries.strands(self.PROMPT, self.TEXT)
        trie = tries.flatten(sequences)
        self.assertEqual(trie.tokens[:len(sequences[0].tokens)], sequences[0].tokens)
        shared = len(vocabulary.encode(self.PROMPT + self.OPENING + "\n<Thread>\n"))
        self.assertEqual(len(trie.tokens), len(sequences[0].tokens) + len(sequences[1].tokens) - shared)

    def test_logits_are_those_of_each_strand_alone(self):
        for heads, kv_heads in ((3, 1), (4, 2)):
            shape = LearnerShape(layers=2, width=32, heads=heads, kv_heads=kv_heads, head_dim=16, ffn=48, context=256)
            learner = Learner(shape, seed=5)
            found = texts.Texts(shape.context)
            longer = self.TEXT.replace("6</", "6, 2*3=6, " + "again 2*3=6, " * 5 + "6</")  # of more than one block
            for text in (self.TEXT, longer):
                found.add(self.PROMPT, text, False)
            batch = found.batch(numpy.array([0, 1]))
            tokens, _, targets, depths, exits = map(torch.from_numpy, batch.arrays())
            with torch.no_grad():
                logits = learner.logits(tokens, torch.arange(tokens.numel()), depths, exits).view(*tokens.shape, -1)
                for row, text in enumerate((self.TEXT, longer)):
                    sequences = tries.strands(self.PROMPT, text)
                    trie = tries.flatten(sequences)
                    for strand in sequences:
                        alone = learner.logits(torch.tensor([strand.tokens]), torch.arange(len(strand.tokens)))
                        path, node = [], -1
                        for token in strand.tokens:
                            node = next(place for place in range(node + 1, len(trie.tokens))
                                        if trie.parents[place] == node and trie.tokens[place] == token)
                            path.append(node)
                        self.assertLess((logits[row, path] - alone).abs().max().item(), 1e-4)
            self.assertEqual(len(targets), sum(sum(tries.flatten(tries.strands(self.PROMPT, text)).learned)
                                               for text in (self.TEXT, longer)))

    def test_gradients_are_those_of_both_strands(self):
        shape = LearnerShape(layers=2, width=32, heads=2, head_dim=16, ffn=48, context=256)
        found = texts.Texts(shape.context)
        found.add(self.PROMPT, self.TEXT, False)
        learner, gradients = Learner(shape, seed=5), []

        def gradient(loss):
            learner.zero_grad()
            loss.backward()
            return torch.cat([parameter.grad.flatten() for parameter in learner.parameters()])

        gradients.append(gradient(learner.loss(*map(torch.from_numpy, found.batch(numpy.array([0])).arrays()))))
        whole, second = tries.strands(self.PROMPT, self.TEXT)
        shared = len(vocabulary.encode(self.PROMPT + self.OPENING))
        total = 0
        for strand, first in ((whole, 1), (second, shared)):  # what both learn is learned once
            places = [place - 1 for place in range(first, len(strand.tokens)) if strand.learned[place]]
            total = total + learner.loss(torch.tensor([strand.tokens]), torch.tensor(places),
                                         torch.tensor([strand.tokens[place + 1] for place in places]))
        gradients.append(gradient(total))
        self.assertLess((gradients[0] - gradients[1]).norm().item(), 1e-5 * gradients[1].norm().item())


class TextsTest(unittest.TestCase):
    def test_what_is_learned(self):
        found = texts.Texts(100)
        found.add("1+", "2=3", False)
        batch = found.batch(numpy.array([0]))
        self.assertEqual(batch.tokens.tolist(), [list(b"1+2=3")])
        self.assertEqual(batch.places.tolist(), [1, 2, 3, 4])
        self.assertEqual(batch.targets.tolist(), [*b"2=3", vocabulary.END])

    def test_long_ones(self):
        found = texts.Texts(4)
        found.add("12", "3", False)
        found.add("12", "34", False)
        found.add("12", "34", True)
        found.add("1234", "5", True)
        self.assertEqual((len(found), found.left_out, found.cut), (2, 2, 1))
        self.assertEqual(found.batch(numpy.array([1])).targets.tolist(), [*b"34"])

    def test_steps_hold_every_text_once(self):
        found = texts.Texts(200)
        for length in range(1, 190):
            found.add("", "7" * length, False)
        steps = list(found.steps(1, 0, 1000, 300))
        picks = numpy.concatenate([picks for step in steps for picks in step])
        self.assertEqual(sorted(picks), list(range(len(found))))
        for step in steps:
            for picks in step:
                self.assertLessEqual(found.batch(picks).tokens.size, 300)
        again = [picks.tolist() for step in found.steps(1, 0, 1000, 300) for picks in step]
        self.assertEqual(again, [picks.tolist() for step in steps for picks in step])
        self.assertNotEqual(again, [picks.tolist() for step in found.steps(1, 1, 1000, 300) for picks in step])


if __name__ == "__main__":
    unittest.main()
