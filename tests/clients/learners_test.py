# SPDX-License-Identifier: Apache-2.0
"""Learners (bench/learners) in plait: their ids, and the numbers of a forward pass in plain Python."""
import array
import itertools
import math
import operator
import pathlib
import random
import sys
import tempfile
import unittest
import unittest.mock

import server as servers
from server import ROOT, Server

sys.path.insert(0, str(ROOT / "bench/learners"))
import gguf_writer  # noqa: E402
import vocabulary  # noqa: E402

SHAPE = gguf_writer.LearnerShape(layers=2, width=64, heads=2, kv_heads=1, head_dim=32, ffn=96, context=256)
# Weights and activations are not rounded, but keys and values are held as half floats, of 11 bits, which makes up to
# 1.5e-3 here. The reference path has floats there, too.
ERROR_MAX = {"auto": 2e-3, "reference": 5e-5}

SEARCH = """\
Current state: 24 from [3,5,7,9], operations []
Exploring operation: 3+5=8, resulting numbers [7,9,8]
Generated node #0,2: 24 from [7,9,8], operations [3+5=8]
Moving to node #0,2
Current state: 24 from [7,9,8], operations [3+5=8]
Exploring operation: 9-7=2, resulting numbers [8,2]
No solution: 16 is not 24
Goal reached: 24 is 24
"""
SPAWN = """\
Child budget: 2
Current state: 24 from [3,12,2], operations []
Exploring operation: 12/3=4, resulting numbers [2,4]
Generated node #0,0: 24 from [2,4], operations [12/3=4]
<Calling Sub Searches>
0 at node #0,0
1 at node #0,1
<End Calling Sub Searches>"""
JOIN = """\
<Sub Searches>
0 at node #0,0: No solution
1 at node #0,1: Goal reached
Current state: 24 from [2,36], operations [3*12=36]
Goal reached: 24 is 24
<End Sub Searches>
"""
THREADS = """\
What is 23*45+67*89?
Threads:
<Parallel>
<Outlines>
<Outline>1: 23*45</Outline>
<Outline>2: 67*89</Outline>
</Outlines>
<Thread>
1:23*45=23*40+23*5, 23*40=920, 23*5=115, 920+115=1035</Thread><Thread>
2:67*89=67*80+67*9, 67*80=5360, 67*9=603, 5360+603=5963</Thread>
</Parallel>
1035+5963=6998
Answer: 6998"""
# Phrases that overlap, phrases that do not end, and what is no phrase.
ODD = [": is from [: at node #", "Draft: is not is not ", "Current state", "No solution", "<|end|>", " ",
       "é☃ \u0000\t'll Ġ"]


def random_tensors(seed: int) -> dict[str, array.array]:
    """Of a learner that knows nothing, with logits some units apart."""
    source = random.Random(seed)
    tensors = {}
    for name, dims in gguf_writer.tensor_shapes(SHAPE).items():
        centre, spread = (1, 0.2) if len(dims) == 1 else (0, dims[1] ** -0.5)
        tensors[name] = array.array("f", (source.gauss(centre, spread) for _ in range(math.prod(dims))))
    return tensors


def product(matrix: array.array, vector: list[float]) -> list[float]:
    width = len(vector)
    return [sum(map(operator.mul, matrix[row:row + width], vector)) for row in range(0, len(matrix), width)]


def normed(vector: list[float], gain: array.array) -> list[float]:
    scale = (sum(value * value for value in vector) / len(vector) + SHAPE.epsilon) ** -0.5
    return [value * scale * factor for value, factor in zip(vector, gain)]


def rotated(head: list[float], position: int) -> list[float]:
    out = []
    for pair in range(0, len(head), 2):
        angle = position * SHAPE.rope_base ** (-pair / len(head))
        cosine, sine = math.cos(angle), math.sin(angle)
        out += [head[pair] * cosine - head[pair + 1] * sine, head[pair] * sine + head[pair + 1] * cosine]
    return out


def softmax(scores: list[float]) -> list[float]:
    most = max(scores)
    shares = [math.exp(score - most) for score in scores]
    total = sum(shares)
    return [share / total for share in shares]


class PlainModel:
    """One sequence, token by token."""

    def __init__(self, tensors: dict[str, array.array]):
        self.tensors = tensors
        self.keys: list[list[list[float]]] = [[] for _ in range(SHAPE.layers)]  # [layer][position][dim]: one KV head
        self.values: list[list[list[float]]] = [[] for _ in range(SHAPE.layers)]

    def logprobs(self, token: int) -> list[float]:
        """Of every token that may come next."""
        row = token * SHAPE.width
        stream = list(self.tensors["token_embd.weight"][row:row + SHAPE.width])
        for layer in range(SHAPE.layers):
            stream = self._layer(layer, stream)
        logits = product(self.tensors["output.weight"], normed(stream, self.tensors["output_norm.weight"]))
        most = max(logits)
        total = math.log(sum(math.exp(logit - most) for logit in logits)) + most
        return [logit - total for logit in logits]

    def _layer(self, layer: int, stream: list[float]) -> list[float]:
        def tensor(name):
            return self.tensors[f"blk.{layer}.{name}.weight"]

        inner = normed(stream, tensor("attn_norm"))
        query, dim = product(tensor("attn_q"), inner), SHAPE.head_dim
        position = len(self.keys[layer])
        self.keys[layer].append(rotated(product(tensor("attn_k"), inner), position))
        self.values[layer].append(product(tensor("attn_v"), inner))
        seen = []
        for begin in range(0, len(query), dim):
            head = rotated(query[begin:begin + dim], position)
            shares = softmax([sum(map(operator.mul, head, key)) * dim ** -0.5 for key in self.keys[layer]])
            seen += [sum(map(operator.mul, shares, column)) for column in zip(*self.values[layer])]
        stream = list(map(operator.add, stream, product(tensor("attn_output"), seen)))
        inner = normed(stream, tensor("ffn_norm"))
        gated = [gate / (1 + math.exp(-gate)) * up
                 for gate, up in zip(product(tensor("ffn_gate"), inner), product(tensor("ffn_up"), inner))]
        return list(map(operator.add, stream, product(tensor("ffn_down"), gated)))


server, reference, tensors = None, None, {}


def setUpModule():  # noqa: N802
    global server, reference, tensors
    folder = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="plait-learners-")))
    path, tensors = folder / "learner.gguf", random_tensors(seed=1)
    gguf_writer.write_gguf(path, SHAPE, tensors, "random learner")
    # No test here needs the default model, without which servers are not started.
    unittest.enterModuleContext(unittest.mock.patch.object(servers, "default_model", lambda: path))
    server = unittest.enterModuleContext(Server("--model", path))
    reference = unittest.enterModuleContext(Server("--model", path, "--isa", "reference"))


class TokensTest(unittest.TestCase):
    def test_ids_are_those_of_the_vocabulary(self):
        for text in [SEARCH, SPAWN, JOIN, SPAWN + JOIN, THREADS, *ODD, *vocabulary.PHRASES]:
            with self.subTest(text=text):
                self.assert_same_ids(text)

    def test_tags_of_threads_are_one_token_each(self):
        for tag in ("Parallel", "Outlines", "Outline", "Thread"):
            for text in (f"<{tag}>", f"</{tag}>"):
                self.assertEqual(len(vocabulary.encode(text)), 1)

    def test_a_thread_behind_its_header_is_two_texts(self):
        """The strategy reads headers by themselves: a text that is read as a whole has the same ids if it does not
        begin with a space."""
        header, said = "\n<Thread>\n1:", "23*45=1035</Thread>"
        self.assertEqual(vocabulary.encode(header + said), vocabulary.encode(header) + vocabulary.encode(said))
        self.assertNotEqual(vocabulary.encode(header + " " + said),
                            vocabulary.encode(header) + vocabulary.encode(" " + said))

    def test_phrases_side_by_side(self):
        pairs = map("".join, itertools.product(vocabulary.PHRASES, repeat=2))
        self.assert_same_ids("7".join(pairs))  # a seven is in no phrase

    def test_phrases_that_overlap(self):
        pieces = [piece for phrase in vocabulary.PHRASES for piece in (phrase, phrase[:3], phrase[-3:], " ", ":")]
        source = random.Random(5)
        for _ in range(20):
            self.assert_same_ids("".join(source.choices(pieces, k=400)))

    def assert_same_ids(self, text):
        status, reply = server.json("POST", "/tokenize", {"content": text})
        self.assertEqual(status, 200)
        self.assertEqual(reply["tokens"], vocabulary.encode(text))
        _, reply = server.json("POST", "/detokenize", {"tokens": reply["tokens"]})
        self.assertEqual(reply["content"], text)


class NumbersTest(unittest.TestCase):
    def complete(self, prompt, asked=None, **fields):
        body = {"prompt": prompt, "temperature": 0, **fields}
        status, reply = (asked or server).json("POST", "/v1/completions", body)
        self.assertEqual(status, 200, reply)
        return reply["choices"][0]

    def assert_near(self, found, wanted, kernels):
        self.assertEqual(len(found), len(wanted))
        for one, other in zip(found, wanted):
            self.assertAlmostEqual(one, other, delta=ERROR_MAX[kernels])

    def test_log_probabilities_of_a_prompt(self):
        ids, model = vocabulary.encode(SEARCH), PlainModel(tensors)
        wanted = [model.logprobs(token)[following] for token, following in zip(ids, ids[1:])]
        for kernels, asked in {"auto": server, "reference": reference}.items():
            with self.subTest(kernels):
                found = self.complete(ids, asked, echo=True, logprobs=1, max_tokens=0)["logprobs"]["token_logprobs"]
                self.assertIsNone(found[0])
                self.assert_near(found[1:], wanted, kernels)

    def test_greedy_choice(self):
        prompt, count = vocabulary.encode(SPAWN), 20
        model = PlainModel(tensors)
        for token in prompt:
            logprobs = model.logprobs(token)
        chosen, wanted = [], []
        for _ in range(count):
            wanted.append(max(logprobs))
            chosen.append(logprobs.index(wanted[-1]))
            logprobs = model.logprobs(chosen[-1])
        for kernels, asked in {"auto": server, "reference": reference}.items():
            with self.subTest(kernels):
                found = self.complete(prompt, asked, max_tokens=count, ignore_eos=True, logprobs=1,
                                      plait={"return_token_ids": True})
                self.assertEqual(found["plait"]["token_ids"], chosen)
                self.assertEqual(found["text"], vocabulary.decode(chosen))
                self.assert_near(found["logprobs"]["token_logprobs"], wanted, kernels)

    def test_a_text_is_its_ids(self):
        fields = {"max_tokens": 20, "ignore_eos": True}
        self.assertEqual(self.complete(JOIN, **fields)["text"],
                         self.complete(vocabulary.encode(JOIN), **fields)["text"])


class ChatTest(unittest.TestCase):
    def test_the_last_message_is_what_is_continued(self):
        turns = [{"role": "system", "content": "not seen"}, {"role": "user", "content": SEARCH}]
        fields = {"max_tokens": 12, "temperature": 0, "ignore_eos": True}
        status, chat = server.json("POST", "/v1/chat/completions", {"messages": turns, **fields})
        self.assertEqual(status, 200, chat)
        _, text = server.json("POST", "/v1/completions", {"prompt": SEARCH, **fields})
        self.assertEqual(chat["usage"]["prompt_tokens"], len(vocabulary.encode(SEARCH)))
        self.assertEqual(chat["choices"][0]["message"]["content"], text["choices"][0]["text"])


if __name__ == "__main__":
    unittest.main()
