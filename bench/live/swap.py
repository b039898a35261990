# SPDX-License-Identifier: Apache-2.0
"""Chats on a running server whose memory holds a third of them: what runs, asynchrony and used copies bring.

A chat is a strand, so its keys and values stay between its turns as long as there is room, and go to the file when
there is not. Chats come as a Poisson process; people think between turns. Questions and answers have log-normal
lengths, answers are forced token by token. Everyone gets the same chats on a server of its own; R computes again.
"""
import asyncio
import dataclasses
import math
import random
import statistics
import time

from client import Client, check_forced, generation, serving
from figures import Gate, Report, percentile, spread, table

SPREAD = 0.6  # of the logarithm of lengths
WAYS = {
    "A": ("page by page, standing still", ("--kv-swap-way", "pages", "--kv-group-pages", "1")),
    "B": ("runs, groups of 16", ("--kv-swap-way", "runs")),
    "C": ("and while others compute", ("--kv-swap-way", "async")),
    "D": ("and copies used again", ("--kv-swap-way", "reuse")),
    "R": ("computed again", ()),
}


@dataclasses.dataclass(frozen=True)
class Size:
    chats: int = 24
    rate: float = 1.0  # chats a second
    turns: tuple[int, int] = (1, 10)
    question: int = 40
    answer: int = 50
    think: float = 1.5
    pages: int = 90
    swap_bytes: int = 600_000_000


QUICK = Size(chats=4, rate=20, turns=(2, 3), question=24, answer=16, think=0.05, pages=14, swap_bytes=60_000_000)
PAGE_BYTES = 368_640  # of smollm2-135m, a multiple of what the disk wants


class Chats:
    def __init__(self, client: Client, size: Size, seed: int):
        self.client, self.size, self.seed, self.answers = client, size, seed, []

    def length(self, draw: random.Random, mean: int) -> int:
        return max(2, min(round(draw.lognormvariate(math.log(mean) - SPREAD ** 2 / 2, SPREAD)), 3 * mean))

    async def chat(self, number: int, at: float) -> None:
        draw = random.Random(f"{self.seed} chat {number}")
        await asyncio.sleep(max(at - time.monotonic(), 0))
        strand, due = "", at
        for turn in range(draw.randint(*self.size.turns)):
            asked = [draw.randrange(1024, 8192) for _ in range(self.length(draw, self.size.question))]
            tokens, forced = self.length(draw, self.size.answer), draw.choice(self.client.forced)
            if turn == 0:
                made = await self.client.post("/v1/strands", {"token_ids": asked, "seed": 1, "user": f"chat {number}"})
                strand = f"/v1/strands/{made['id']}"
            else:
                await self.client.post(f"{strand}/append", {"token_ids": asked, "wait": False})
            body = {"name": f"turn {turn}", **generation(forced, tokens), "plait": {"cache_hint": "return"}}
            del body["stream_options"]
            answer = await self.client.stream(f"{strand}/gen", body, due)
            check_forced(answer, forced, tokens)
            self.answers.append(answer)
            due = time.monotonic() + self.size.think * draw.uniform(0.5, 1.5)
            await asyncio.sleep(max(due - time.monotonic(), 0))
        await self.client.delete(strand)

    async def run(self) -> None:
        draw, at, chats = random.Random(f"{self.seed} arrivals"), time.monotonic(), []
        for number in range(self.size.chats):
            at += draw.expovariate(self.size.rate)
            chats.append(self.chat(number, at))
        await asyncio.gather(*chats)


def measure(setup, size: Size, way: str, seed: int) -> dict:
    options = ["--kv-memory", str(size.pages * PAGE_BYTES), *WAYS[way][1]]
    if way != "R":
        options += ["--kv-swap", f"file:{setup.folder}", "--kv-swap-bytes", str(size.swap_bytes)]
    with serving(setup, *options) as client:
        chats, begun = Chats(client, size, seed), time.monotonic()
        asyncio.run(chats.run())
        seconds, after = time.monotonic() - begun, client.metrics()
    names = ("preemptions", "swap_outs", "swap_ins", "swap_out_operations", "swap_in_operations", "swap_out_bytes",
             "swap_in_bytes", "swap_reused_bytes", "swap_waits", "swap_lost", "prompt_rows")
    return {"way": way, "seed": seed, "seconds": seconds, "turns": len(chats.answers),
            "tokens": sum(one.usage["completion_tokens"] for one in chats.answers),
            "first_token": [one.first_token for one in chats.answers],
            "gaps": [gap for one in chats.answers for gap in one.gaps],
            **{name: after[f"plait_{name}"] for name in names}}


def measure_all(setup) -> Report:
    size, runs = QUICK if setup.quick else Size(), []
    for turn in range(setup.rounds):
        for way in WAYS:
            runs.append(measure(setup, size, way, setup.seed + turn))
            setup.say(f"swap, round {turn + 1}, {way}: {runs[-1]['swap_outs']:.0f} swap-outs, "
                      f"{runs[-1]['seconds']:.1f} s")
    return report(runs)


def of(runs: list[dict], way: str, figure) -> list[float]:
    return [figure(run) for run in runs if run["way"] == way]


def operations(run: dict) -> float:
    done = run["swap_out_operations"] + run["swap_in_operations"]
    return done / run["swap_outs"] if run["swap_outs"] else math.nan


def megabytes(run: dict) -> float:
    return run["swap_out_bytes"] / run["swap_outs"] / 1e6 if run["swap_outs"] else math.nan


def first_p99(run: dict) -> float:
    return percentile(run["first_token"], 0.99)


def gap_p999(run: dict) -> float:
    return percentile(run["gaps"], 0.999)


def report(runs: list[dict]) -> Report:
    rows = [[f"{way}: {about}", *(spread(of(runs, way, figure)) for figure in (
        first_p99, gap_p999, lambda run: percentile(run["first_token"], 0.5), lambda run: run["seconds"],
        lambda run: run["swap_outs"], operations, megabytes))] for way, (about, _) in WAYS.items()]
    lines = table(["way", "P99 first token, s", "P99.9 gap, s", "P50 first token, s", "whole run, s", "swap-outs",
                   "operations per swap-out, both ways", "MB out per swap-out"], rows)

    def times(figure, worse: str, better: str) -> float:
        pairs = zip(of(runs, worse, figure), of(runs, better, figure))
        ratios = [a / b for a, b in pairs if b > 0]
        return statistics.median(ratios) if ratios else math.nan

    wrong = sum(len(run["gaps"]) + run["turns"] != run["tokens"] or run["swap_lost"] > 0 for run in runs)
    wrong += sum(run["swap_outs"] == 0 for run in runs if run["way"] != "R")
    wrong += sum(run["swap_reused_bytes"] > 0 for run in runs if run["way"] != "D")
    wrong += sum(run["swap_out_operations"] * PAGE_BYTES != run["swap_out_bytes"] for run in runs if run["way"] == "A")
    return Report(lines, [Gate("operations per swap-out, A by D", times(operations, "A", "D"), 10),
                          Gate("bytes out per swap-out, D by C", 1 / times(megabytes, "C", "D"), 0.5, False),
                          Gate("P99 of first tokens, A by D", times(first_p99, "A", "D"), 1.4),
                          Gate("P99.9 of gaps, A by D", times(gap_p999, "A", "D"), 1.4),
                          Gate("runs whose counters do not fit", wrong, 0, False, exact=True)], runs)
