# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of learners: the phrases of src/reasoning/search_trace.h, spawn_grammar.h and outline_grammar.h, and
bytes.

  ids = encode("Current state: 24 from [3,5], operations []\\n")    # never END, whatever the text says
  text = decode(ids)

What is no phrase is spelled in bytes, digits and signs of arithmetic among them, so that every text has ids. Nothing is
merged: ids do not depend on a pre-tokenizer. plait, given the same tokens by gguf_writer.py, makes the same ids of
every text (tests/clients/learners_test.py): as there, phrases take turns, the longest first, and each takes all its
places, from left to right, in what the ones before left over.
"""
import re

# Learned models hold the place of each phrase: new ones go to the end.
PHRASES = (
    "Current state: ", " from [", "], operations [",
    "Exploring operation: ", ", resulting numbers [",
    "Generated node #", ": ", "Moving to node #",
    "Goal reached: ", " is ", "No solution: ", " is not ",
    "<Calling Sub Searches>", "<End Calling Sub Searches>", "<Sub Searches>", "<End Sub Searches>",
    " at node #", "Goal reached", "No solution",
    "Child budget: ", "Draft: ", "Workspace:", "Answer: ",
    "<Parallel>", "</Parallel>", "<Outlines>", "</Outlines>", "<Outline>", "</Outline>", "<Thread>", "</Thread>",
)
END_TEXT = "<|end|>"

BYTES = 256  # a byte is its own id
END = BYTES + len(PHRASES)
SIZE = END + 1

# Kinds of tokens in a GGUF file.
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
KINDS = (NORMAL,) * BYTES + (USER_DEFINED,) * len(PHRASES) + (CONTROL,)

_IDS = {phrase: BYTES + place for place, phrase in enumerate(PHRASES)}
_LONGEST_FIRST = sorted(PHRASES, key=len, reverse=True)


def _contested() -> list[str]:
    """Texts in which a phrase begins within a shorter one and reaches beyond it: there the longest match from the left
    is not what turns give. No line of the language has one."""
    texts = []
    for short in PHRASES:
        for long in PHRASES:
            for shared in range(1, len(short)):
                if len(long) > len(short) and short.endswith(long[:shared]):
                    texts.append(short + long[shared:])
    return texts


_CONTESTED = re.compile("|".join(map(re.escape, _contested())))
_PIECES = re.compile("|".join(map(re.escape, _LONGEST_FIRST)) + "|.", re.DOTALL)


def _pieces_in_turns(text: str) -> list[str]:
    pieces = [text]
    for phrase in _LONGEST_FIRST:
        parted = []
        for piece in pieces:
            for place, part in enumerate([piece] if piece in _IDS else piece.split(phrase)):
                parted += [phrase, part] if place else [part]
        pieces = parted
    return [part for piece in pieces for part in ([piece] if piece in _IDS else piece)]


def encode(text: str) -> list[int]:
    """The ids of a text. Requires: it has no lone surrogates."""
    pieces = _pieces_in_turns(text) if _CONTESTED.search(text) else _PIECES.findall(text)
    ids = []
    for piece in pieces:
        known = _IDS.get(piece)
        if known is None:
            ids.extend(piece.encode())
        else:
            ids.append(known)
    return ids


def decode(ids: list[int]) -> str:
    """Their text; END has none, and bytes that are no UTF-8 become U+FFFD."""
    pieces = (bytes([token]) if token < BYTES else b"" if token == END else PHRASES[token - BYTES].encode()
              for token in ids)
    return b"".join(pieces).decode(errors="replace")


def _byte_text(byte: int) -> str:
    """How byte-level vocabularies write a byte: those that print stand for themselves, the others are U+0100 and on, in
    order."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in prints:
        return chr(byte)
    return chr(0x100 + sum(other not in prints for other in range(byte)))


def token_texts() -> list[str]:
    """Of every token, as it is written in the file."""
    return [*map(_byte_text, range(BYTES)), *PHRASES, END_TEXT]
