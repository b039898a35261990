# SPDX-License-Identifier: Apache-2.0
"""Texts that a learner is trained on: lines of JSON, {"prompt": TEXT, "text": TEXT}, as `plait-lab traces` writes them.

A text is followed by the end token; what is learned are its tokens and that one, not those of the prompt. Sequences are
not packed: a batch holds sequences of about one length, so that hardly anything is filled up and attention needs no
mask but its own. A step takes several such batches, whose lengths differ. Texts in threads are tries (tries.py), in
batches of their own.
"""
import array
import dataclasses
import json
import typing

import numpy

import tries
import vocabulary

POOL_STEPS = 64  # sequences are sorted by length among those of so many steps


class Batch(typing.NamedTuple):
    tokens: numpy.ndarray  # [sequence, position], filled up with 0
    places: numpy.ndarray  # of tokens from which the next one is learned: rows of all sequences one after another
    targets: numpy.ndarray  # [place]: the next token
    inputs: int  # tokens that are none to fill up
    depths: numpy.ndarray | None = None  # of tries: [sequence, position],
    exits: numpy.ndarray | None = None  # and of what fills them up: it sees itself

    def arrays(self) -> list[numpy.ndarray]:
        """What Learner.loss() takes."""
        return [array for array in (self.tokens, self.places, self.targets, self.depths, self.exits)
                if array is not None]


@dataclasses.dataclass
class Texts:
    """Sequences of prompt, text and end, or of a trie's tokens, one after another."""
    context: int  # most tokens of a sequence
    tokens: array.array = dataclasses.field(default_factory=lambda: array.array("H"))
    begins: array.array = dataclasses.field(default_factory=lambda: array.array("q", [0]))  # and the end of the last
    prompts: array.array = dataclasses.field(default_factory=lambda: array.array("q"))  # [sequence]: prompt's tokens
    woven: dict[int, dict[str, numpy.ndarray]] = dataclasses.field(default_factory=dict)  # [sequence]: tries' parts
    left_out: int = 0
    cut: int = 0

    def __len__(self) -> int:
        return len(self.prompts)

    def add(self, prompt: str, text: str, may_cut: bool) -> None:
        """Longer ones than the context are left out, or end where it does: then nothing says that they end. Those in
        threads are left out in any case."""
        if tries.has_threads(text):
            self._add_trie(tries.flatten(tries.strands(prompt, text)))
            return
        ids = vocabulary.encode(prompt)
        begin = len(ids)
        ids += [*vocabulary.encode(text), vocabulary.END]
        if len(ids) > self.context:
            if not may_cut or begin >= self.context:
                self.left_out += 1
                return
            self.cut += 1
            del ids[self.context:]
        self.tokens.extend(ids)
        self.begins.append(len(self.tokens))
        self.prompts.append(begin)

    def _add_trie(self, trie: tries.Trie) -> None:
        if max(trie.depths) >= self.context:
            self.left_out += 1
            return
        self.woven[len(self)] = {name: numpy.array(getattr(trie, name), numpy.int16)
                                 for name in ("depths", "parents", "exits", "learned")}
        self.tokens.extend(trie.tokens)
        self.begins.append(len(self.tokens))
        self.prompts.append(0)

    def read(self, path: str, may_cut: bool) -> None:
        """Raises OSError, or ValueError with the line that is none of these."""
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    value = json.loads(line)
                    prompt, text = value["prompt"], value["text"]
                    if not isinstance(prompt, str) or not isinstance(text, str):
                        raise TypeError
                except (ValueError, KeyError, TypeError):
                    raise ValueError(f"{path}:{number}: not {{\"prompt\": TEXT, \"text\": TEXT}}") from None
                self.add(prompt, text, may_cut)

    def about(self) -> str:
        return (f"{len(self):,} texts, {len(self.tokens):,} tokens; of more than {self.context:,} tokens: "
                f"{self.left_out:,} left out, {self.cut:,} cut")

    def inputs(self) -> numpy.ndarray:
        """[sequence]: tokens that go in; the last one only comes out, but of a trie."""
        lengths = numpy.diff(numpy.array(self.begins)) - 1
        lengths[list(self.woven)] += 1
        return lengths

    def batches(self, picks: numpy.ndarray, batch_tokens: int) -> list[numpy.ndarray]:
        """Sequences of about one length, of at most so many tokens with what fills them up, or a single one; all of
        them tries or none."""
        lengths, is_trie = self.inputs(), numpy.zeros(len(self), bool)
        is_trie[list(self.woven)] = True
        picks = picks[numpy.lexsort((lengths[picks], is_trie[picks]))]
        parts, first = [], 0
        for place, length in enumerate(lengths[picks]):
            if place > first and ((place + 1 - first) * length > batch_tokens
                                  or is_trie[picks[place]] != is_trie[picks[first]]):
                parts.append(picks[first:place])
                first = place
        return [*parts, picks[first:]]

    def steps(self, seed: int, epoch: int, step_tokens: int, batch_tokens: int) -> typing.Iterator[list[numpy.ndarray]]:
        """All sequences once, as batches of sequences. The same for the same arguments."""
        random = numpy.random.default_rng([seed, epoch])
        order = random.permutation(len(self))
        lengths = self.inputs()
        pool = numpy.cumsum(lengths[order]) // (POOL_STEPS * step_tokens)
        for picks in numpy.split(order, numpy.flatnonzero(numpy.diff(pool)) + 1):
            batches = self.batches(picks, batch_tokens)
            step, tokens = [], 0
            for place in random.permutation(len(batches)):
                step.append(batches[place])
                tokens += int(lengths[batches[place]].sum())
                if tokens >= step_tokens:
                    yield step
                    step, tokens = [], 0
            if step:
                yield step

    def batch(self, picks: numpy.ndarray) -> Batch:
        if picks[0] in self.woven:
            return self._batch_of_tries(picks)
        lengths = self.inputs()[picks]
        tokens = numpy.zeros((len(picks), lengths.max()), dtype=numpy.int64)
        places, targets = [], []
        for row, (pick, length) in enumerate(zip(picks, lengths)):
            ids = numpy.frombuffer(self.tokens, numpy.uint16, length + 1, 2 * self.begins[pick])
            tokens[row, :length] = ids[:-1]
            first = max(self.prompts[pick], 1)  # nothing comes before the first token
            places.append(row * tokens.shape[1] + numpy.arange(first - 1, length))
            targets.append(ids[first:])
        return Batch(tokens, numpy.concatenate(places), numpy.concatenate(targets).astype(numpy.int64),
                     int(lengths.sum()))


    def _batch_of_tries(self, picks: numpy.ndarray) -> Batch:
        lengths = self.inputs()[picks]
        length = lengths.max()
        tokens = numpy.zeros((len(picks), length), dtype=numpy.int64)
        depths = numpy.zeros_like(tokens)
        exits = numpy.tile(numpy.arange(1, length + 1), (len(picks), 1))
        places, targets = [], []
        for row, pick in enumerate(picks):
            trie = self.woven[pick]
            ids = numpy.frombuffer(self.tokens, numpy.uint16, lengths[row], 2 * self.begins[pick])
            tokens[row, :len(ids)], depths[row, :len(ids)], exits[row, :len(ids)] = ids, trie["depths"], trie["exits"]
            learned = trie["learned"].astype(bool)
            places.append(row * length + trie["parents"][learned].astype(numpy.int64))
            targets.append(ids[learned])
        return Batch(tokens, numpy.concatenate(places), numpy.concatenate(targets).astype(numpy.int64),
                     int(lengths.sum()), depths, exits)


def read_texts(paths: list[str], context: int, may_cut: bool) -> Texts:
    texts = Texts(context)
    for path in paths:
        texts.read(path, may_cut)
    return texts
