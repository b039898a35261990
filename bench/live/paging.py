# SPDX-License-Identifier: Apache-2.0
"""The prefix cache of a running server under agents that wait for tools: what hints of coming back save.

Agents share a system prompt, think in rounds, wait for a tool between them and now and then ask several branches at
once; strangers ask once and never come back. All requests say with `plait.cache_hint` whether their text comes back.
The pool is too small for what will come back and what will not. Each policy gets the same requests on a server of its
own; `all` has memory for everything and shows what must be computed at least. The optimum replays the requests for
pages, as the server with LRU got them, with the farthest next use leaving first, on a pool that nothing pins.
"""
import asyncio
import dataclasses
import functools
import random
import statistics
import time

from client import Client, check_forced, generation, pool, run_plait, serving
from figures import Gate, Report, percentile, spread, table

PAGE = 16
POLICIES = ("lru", "guarded", "mark0", "marking")


@dataclasses.dataclass(frozen=True)
class Size:
    agents: int = 18
    agents_open: int = 6
    strangers: int = 60
    strangers_open: int = 2
    system: int = 96  # tokens that all agents have in front
    task: int = 260
    rounds: tuple[int, int] = (3, 7)
    reply: int = 48
    answer: int = 16
    stranger: int = 320
    pause: float = 1.2
    kv_bytes: int = 88_000_000


QUICK = Size(agents=3, agents_open=2, strangers=2, strangers_open=1, system=16, task=24, rounds=(2, 3), reply=8,
             answer=4, stranger=24, pause=0.05, kv_bytes=3_000_000)


class Trace:
    """One replay of the seed's requests. `asked`: when, prompt with its answer, whether it comes back, the answer."""

    def __init__(self, client: Client, size: Size, seed: int):
        self.client, self.size, self.seed = client, size, seed
        self.asked, self.after_pause = [], []
        self.system = self.tokens(random.Random(f"{seed} system"), size.system)

    @staticmethod
    def tokens(draw: random.Random, count: int) -> list[int]:
        return [draw.randrange(1024, 8192) for _ in range(count)]

    async def ask(self, draw: random.Random, prompt: list[int], comes_back: bool, due: float) -> list[int]:
        """The prompt with its answer behind it."""
        forced = draw.choice(self.client.forced)
        body = {"prompt": prompt, **generation(forced, self.size.answer),
                "plait": {"cache_hint": "return" if comes_back else "done"}}
        answer = await self.client.stream("/v1/completions", body, due)
        check_forced(answer, forced, self.size.answer)
        text = prompt + [forced.token] * self.size.answer
        self.asked.append((answer.sent, text, comes_back, answer))
        return text

    async def agent(self, number: int) -> None:
        draw = random.Random(f"{self.seed} agent {number}")
        rounds = draw.randint(*self.size.rounds)
        context = self.system + self.tokens(draw, self.size.task)
        due = time.monotonic()
        for turn in range(rounds):
            before = len(self.asked)
            context = await self.ask(draw, context, turn + 1 < rounds, due)
            if turn > 0:
                self.after_pause.append(next(answer for _, text, _, answer in self.asked[before:] if text is context))
            if turn + 1 == rounds:
                return
            if draw.random() < 0.3:  # branches: the text before them comes back, so that is their hint
                branches = [context + self.tokens(draw, PAGE) for _ in range(2)]
                own = [random.Random(draw.random()) for _ in branches]
                now = time.monotonic()
                texts = await asyncio.gather(*(self.ask(one, branch, True, now) for one, branch in zip(own, branches)))
                context = context + [token for text in texts for token in text[-self.size.answer:]]
            context = context + self.tokens(draw, draw.randint(self.size.reply // 2, self.size.reply * 3 // 2))
            due = time.monotonic() + self.size.pause * draw.uniform(0.5, 1.5)
            await asyncio.sleep(max(due - time.monotonic(), 0))

    async def stranger(self, number: int) -> None:
        draw = random.Random(f"{self.seed} stranger {number}")
        await self.ask(draw, self.tokens(draw, self.size.stranger), False, time.monotonic())
        await asyncio.sleep(self.size.pause * draw.uniform(0.1, 0.3))

    async def run(self) -> None:
        agents = [functools.partial(self.agent, number) for number in range(self.size.agents)]
        strangers = [functools.partial(self.stranger, number) for number in range(self.size.strangers)]
        await asyncio.gather(pool(agents, self.size.agents_open), pool(strangers, self.size.strangers_open))

    def page_trace(self) -> str:
        """Requests for pages in the order in which they came, as `plait cache replay` reads them."""
        lines, names = [], {}
        for _, text, comes_back, _ in sorted(self.asked, key=lambda one: one[0]):
            parent = 0
            for end in range(PAGE, len(text) + 1, PAGE):
                parent = names.setdefault((parent, tuple(text[end - PAGE:end])), len(names) + 1)
                lines.append(f"{parent} {0 if comes_back else 1}")
        return "\n".join(lines) + "\n"


def measure(setup, size: Size, policy: str, seed: int) -> dict:
    options = ["--kv-memory", "1000000000"]
    if policy != "all":
        options = ["--kv-memory", str(size.kv_bytes), "--cache-policy", policy]
    with serving(setup, *options) as client:
        trace = Trace(client, size, seed)
        before, begun = client.metrics(), time.monotonic()
        asyncio.run(trace.run())
        seconds, after = time.monotonic() - begun, client.metrics()
    usages = [answer.usage for _, _, _, answer in trace.asked]
    run = {"policy": policy, "seed": seed, "seconds": seconds, "requests": len(usages),
           "pages": after["plait_kv_pages"],
           "computed": after["plait_prompt_rows"] - before["plait_prompt_rows"],
           "computed_by_usage": sum(usage["plait"]["prefill_tokens"] for usage in usages),
           "cached": sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in usages),
           "prompt_tokens": sum(usage["prompt_tokens"] for usage in usages),
           "evicted_pages": after["plait_prefix_cache_evicted_pages"], "preemptions": after["plait_preemptions"],
           "first_token_after_pause": [answer.first_token for answer in trace.after_pause]}
    if policy == "lru":
        pages = f"{run['pages']:.0f}"
        replay = run_plait(setup, "cache", "replay", "-", "--pages", pages, "--policies",
                           ",".join(POLICIES), given=trace.page_trace())
        run["replayed"] = {"optimum": PAGE * (replay["optimum"] - replay["distinct"]),
                           **{one["policy"]: PAGE * (one["mean"] - replay["distinct"]) for one in replay["policies"]}}
    return run


def measure_all(setup) -> Report:
    size, runs = QUICK if setup.quick else Size(), []
    for turn in range(setup.rounds):
        for policy in ("all", *POLICIES):
            runs.append(measure(setup, size, policy, setup.seed + turn))
            setup.say(f"paging, round {turn + 1}, {policy}: {runs[-1]['computed']:.0f} tokens of prompts computed, "
                      f"{runs[-1]['seconds']:.1f} s")
    return report(runs)


def report(runs: list[dict]) -> Report:
    least = {run["seed"]: run["computed"] for run in runs if run["policy"] == "all"}
    again = {policy: [run["computed"] - least[run["seed"]] for run in runs if run["policy"] == policy]
             for policy in POLICIES}
    replayed = [run["replayed"] for run in runs if "replayed" in run]
    rows = [["memory for all", 0, "", "", *times_of(runs, "all")]]
    for policy in POLICIES:
        ratios = [ours / theirs for ours, theirs in zip(again[policy], again["lru"]) if theirs > 0]
        replays = [one[policy] for one in replayed if policy in one]
        rows.append([policy, spread(again[policy]), spread(ratios) if ratios else "–",
                     spread(replays) if replays else "", *times_of(runs, policy)])
    rows.append(["optimum", "", "", spread([one["optimum"] for one in replayed]), "", "", ""])
    lines = table(["policy", "prompt tokens computed again", "of LRU's", "the same by replay",
                   "first token after a pause, p50, s", "p99, s", "whole run, s"], rows)
    fewer = [1 - ours / theirs for ours, theirs in zip(again["guarded"], again["lru"]) if theirs > 0]
    wrong = sum(abs(run["computed"] - run["computed_by_usage"]) for run in runs)
    wrong += sum(abs(run["computed"] + run["cached"] - run["prompt_tokens"]) for run in runs if run["policy"] == "all")
    return Report(lines, [Gate("tokens computed again with hints (guarded), fewer than LRU's by",
                               statistics.median(fewer) if fewer else 0, 0.2),
                          Gate("tokens that counters and replies tell differently", wrong, 0, False, exact=True)], runs)


def times_of(runs: list[dict], policy: str) -> list:
    own = [run for run in runs if run["policy"] == policy]
    firsts = [value for run in own for value in run["first_token_after_pause"]]
    return [percentile(firsts, 0.5), percentile(firsts, 0.99), spread([run["seconds"] for run in own])]
