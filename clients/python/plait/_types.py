# SPDX-License-Identifier: Apache-2.0
"""What the server tells, as plain values."""
from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Appended:
    strand: str
    operation: int
    tokens: int  # that the strand is longer by
    length: int  # of the strand


@dataclasses.dataclass(frozen=True)
class ScoredOption:
    text: str
    tokens: int
    logprob: float  # raw: the sum of the log-probabilities of the option's tokens
    score: float  # by the rule
    probability: float  # e^score over the sum of it over all options


@dataclasses.dataclass(frozen=True)
class Selection:
    rule: str
    best: int
    options: Sequence[ScoredOption]


@dataclasses.dataclass(frozen=True)
class Logprobs:
    tokens: Sequence[str]
    token_logprobs: Sequence[float]
    top_logprobs: Sequence[Mapping[str, float]]
    text_offset: Sequence[int]


@dataclasses.dataclass(frozen=True)
class Capture:
    """What gen() or select() has written."""
    name: str
    text: str
    finish_reason: str  # "stop", "length", "deadline"; "cancelled": the text so far
    usage: Mapping[str, Any]
    strand: str = ""
    operation: int = 0
    stop_string: str | None = None
    logprobs: Logprobs | None = None
    token_ids: Sequence[int] | None = None
    selection: Selection | None = None


@dataclasses.dataclass(frozen=True)
class JoinedChild:
    id: str
    captures: Sequence[Capture]

    def __getitem__(self, name: str) -> Capture:
        """The last capture of this name."""
        for capture in reversed(self.captures):
            if capture.name == name:
                return capture
        raise KeyError(name)


@dataclasses.dataclass(frozen=True)
class Joined:
    strand: str
    operation: int
    tokens: int  # that the strand is longer by
    length: int
    children: Sequence[JoinedChild]  # in the order of the join


@dataclasses.dataclass(frozen=True)
class Ledger:
    total_tokens: int
    generated_tokens: int
    prefill_tokens: int
    cached_tokens: int
    scored_tokens: int
    critical_path_tokens: int
    pte: float


@dataclasses.dataclass(frozen=True)
class StrandState:
    id: str
    root: str
    parent: str | None
    children: Sequence[str]
    status: str  # "idle", "busy", "failed", "closed"
    length: int
    operations: int
    captures: Sequence[Mapping[str, Any]]  # name, text, finish_reason, tokens
    ledger: Ledger
    tree_ledger: Ledger
    text: str | None = None  # if it was asked for


@dataclasses.dataclass(frozen=True)
class Event:
    """What happens in a tree of strands."""
    id: int
    kind: str  # "created", "appended", "text", "captured", "joined", "failed", "cancelled", "closed", "gap"
    data: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ThoughtPath:
    """One of the texts that an answer was made of."""
    label: str
    text: str
    answer: str
    chosen: bool
    abstains: bool = False
    score: float | None = None
    mean_logprob: float | None = None


@dataclasses.dataclass(frozen=True)
class Thought:
    """What a strategy came to."""
    answer: str
    strategy: str
    selector: str  # how the answer was chosen; "": it was not
    finish_reason: str  # "stop", "length"; "deadline": what was reached by then
    usage: Mapping[str, Any]  # calls, generated_tokens, critical_path_tokens, prefilled_tokens, cached_tokens, pte
    counts: Mapping[str, int]  # outcomes worth knowing, as "broken_threads"
    paths: Sequence[ThoughtPath]
    calls: Sequence[Mapping[str, Any]]  # the ledger: a row for each call of the model


@dataclasses.dataclass(frozen=True)
class ThoughtEvent:
    """What happens while a strategy works."""
    kind: str  # "opened", "text", "closed", "failed"
    call: Mapping[str, Any]  # id and label; `closed`: the whole row of the ledger
    text: str = ""


def capture_of(json: Mapping[str, Any]) -> Capture:
    selection = json.get("selection")
    logprobs = json.get("logprobs")
    return Capture(
        name=json["name"], text=json["text"], finish_reason=json["finish_reason"], usage=json["usage"],
        strand=json.get("strand", ""), operation=json.get("operation", 0), stop_string=json.get("stop_string"),
        logprobs=Logprobs(**logprobs) if logprobs else None, token_ids=json.get("token_ids"),
        selection=Selection(selection["rule"], selection["best"],
                            [ScoredOption(**option) for option in selection["options"]]) if selection else None)


def appended_of(json: Mapping[str, Any]) -> Appended:
    return Appended(json["strand"], json["operation"], json["tokens"], json["length"])


def joined_of(json: Mapping[str, Any]) -> Joined:
    children = [JoinedChild(child["id"], [capture_of(capture) for capture in child["captures"]])
                for child in json["children"]]
    return Joined(json["strand"], json["operation"], json["tokens"], json["length"], children)


def state_of(json: Mapping[str, Any]) -> StrandState:
    known = {field.name for field in dataclasses.fields(StrandState)}
    values = {name: value for name, value in json.items() if name in known}
    values |= {name: Ledger(**json[name]) for name in ("ledger", "tree_ledger")}
    return StrandState(**values)


def thought_of(answer: str, json: Mapping[str, Any]) -> Thought:
    known = {field.name for field in dataclasses.fields(Thought)}
    values = {name: value for name, value in json.items() if name in known}
    return Thought(**values | {"answer": answer, "paths": [ThoughtPath(**path) for path in json["paths"]]})
