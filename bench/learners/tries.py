# SPDX-License-Identifier: Apache-2.0
"""Texts in threads as one sequence: the token trie of "ThreadWeaver" (arXiv 2512.07843).

A thread is written behind the outlines alone, and read behind the threads before it: both strands are learned. They
share their beginnings, so a trie of them, flattened depth first, holds each shared token once. A token's position is
its depth, and it sees its ancestors alone; the joined text comes first.

  trie = flatten(strands("What is 2*3+4*5?\\n", "<Parallel>...</Parallel>\\n26"))

plait's strategy `threads` writes the headers, and the line feed behind the last thread: they are seen, not learned. It
makes tokens of each header by itself, as strands() does.
"""
import re
import typing

import vocabulary

# A thread: its header, what it says, and its end.
_THREAD = re.compile(r"(\n?<Thread>\n\d+:)(.*?)</Thread>(\n?)", re.DOTALL)
_THREAD_END = vocabulary.encode("</Thread>")


class Strand(typing.NamedTuple):
    """Tokens, and whether each is learned."""
    tokens: list[int]
    learned: list[bool]

    def __add__(self, other: "Strand") -> "Strand":
        return Strand(self.tokens + other.tokens, self.learned + other.learned)


class Trie(typing.NamedTuple):
    """[node], each behind its parent."""
    tokens: list[int]
    depths: list[int]  # from 0 on: positions
    parents: list[int]  # -1: none
    exits: list[int]  # behind its last descendant: a node sees those at or before it that end behind it
    learned: list[bool]


def _given(text: str) -> Strand:
    ids = vocabulary.encode(text)
    return Strand(ids, [False] * len(ids))


def _written(ids: list[int]) -> Strand:
    return Strand(ids, [True] * len(ids))


def has_threads(text: str) -> bool:
    return _THREAD.search(text) is not None


def strands(prompt: str, text: str) -> list[Strand]:
    """The whole text with its end, and then each thread of a block but the first behind what all of them go on from:
    of the first that is the whole text's beginning."""
    whole, others = _given(prompt), []
    before, place = whole, 0
    for found in _THREAD.finditer(text):
        header, said, feed = found.groups()
        if outside := text[place:found.start()]:
            whole += _written(vocabulary.encode(outside))
        said = _written(vocabulary.encode(said) + _THREAD_END)
        if header.startswith("\n"):
            before = whole
        else:
            others.append(before + _given("\n" + header) + said)
        whole += _given(header) + said + _given(feed)
        place = found.end()
    whole += _written([*vocabulary.encode(text[place:]), vocabulary.END])
    return [whole, *others]


def flatten(sequences: list[Strand]) -> Trie:
    """In the order in which tokens are first seen; what is learned in any sequence is learned."""
    children: list[dict[int, int]] = [{}]  # [node of the trie]; the first stands before all tokens
    tokens, learned = [-1], [False]
    for sequence in sequences:
        node = 0
        for token, is_learned in zip(*sequence):
            following = children[node].setdefault(token, len(children))
            if following == len(children):
                children.append({})
                tokens.append(token)
                learned.append(False)
            learned[following] |= is_learned
            node = following
    trie = Trie([], [], [], [], [])
    waiting = [(node, -1) for node in reversed(children[0].values())]
    while waiting:
        node, parent = waiting.pop()
        place = len(trie.tokens)
        trie.tokens.append(tokens[node])
        trie.depths.append(trie.depths[parent] + 1 if parent >= 0 else 0)
        trie.parents.append(parent)
        trie.learned.append(learned[node])
        waiting += [(child, place) for child in reversed(children[node].values())]
    trie.exits.extend(range(1, len(trie.tokens) + 1))
    for place in range(len(trie.tokens) - 1, -1, -1):
        parent = trie.parents[place]
        if parent >= 0:
            trie.exits[parent] = max(trie.exits[parent], trie.exits[place])
    return trie
