# SPDX-License-Identifier: Apache-2.0
"""Prefill token equivalents of a running server beside the clock of its clients.

The agents of `plait-lab run pte`, over HTTP: so many rounds, a tool's reply of so many tokens between two of them, so
many tokens of thinking in each; each shape once with its cache kept and once losing it at every pause (another
`plait.cache_salt`). Thinking is forced token by token, trajectories start in shuffled order, eight at a time.
`usage.plait.round` of each reply is a line for `plait cost`, which says what it costs on which machine. Wall-clock is
the sum of a trajectory's calls, as the client sees them; tools reply at once.
"""
import asyncio
import dataclasses
import json
import math
import random
import statistics
import time

from client import Client, check_forced, generation, pool, run_plait, serving
from figures import Gate, Report, partial, pearson, spearman, table

PROFILES = ("cpu-fp32", "cpu-amx", "rtx4090", "h100")
PROMPT = 100  # tokens before the first round
OPEN = 8
VARIANTS = ("pte", "pte_cache", "pte_w", "pte_latency")
COUNTS = ("transcript tokens", "tokens billed", "tokens generated", "calls", "tokens computed")


@dataclasses.dataclass(frozen=True)
class Agent:
    rounds: int
    reply: int
    thinking: int
    evicts: bool

    def name(self) -> str:
        return f"{self.rounds} x {self.reply} + {self.thinking}{', evicted' if self.evicts else ''}"


SHAPES = ((1, 0, 800), (2, 2000, 100), (3, 50, 400), (3, 800, 60), (6, 20, 50), (6, 300, 100), (8, 100, 50),
          (12, 20, 50))
QUICK_SHAPES = ((1, 0, 16), (2, 40, 6), (3, 10, 4))


class Trajectory:
    def __init__(self, client: Client, agent: Agent, name: str):
        self.client, self.agent, self.name = client, agent, name
        self.seconds, self.lines, self.counts = 0.0, [], dict.fromkeys(COUNTS, 0)

    async def run(self) -> None:
        draw = random.Random(self.name)
        varied = lambda mean: max(1, round(mean * draw.uniform(0.75, 1.25)))  # noqa: E731
        text = [draw.randrange(1024, 8192) for _ in range(PROMPT)]
        for turn in range(self.agent.rounds):
            forced, thinking = draw.choice(self.client.forced), varied(self.agent.thinking)
            last = turn + 1 == self.agent.rounds
            salt = f"{self.name}/{turn}" if self.agent.evicts else self.name
            body = {"prompt": text, **generation(forced, thinking),
                    "plait": {"cache_salt": salt, "cache_hint": "done" if last or self.agent.evicts else "return"}}
            answer = await self.client.stream("/v1/completions", body, time.monotonic())
            check_forced(answer, forced, thinking)
            self._count(turn, answer)
            text = text + [forced.token] * thinking
            if not last:
                text = text + [draw.randrange(1024, 8192) for _ in range(varied(self.agent.reply))]
        self.counts["transcript tokens"] = len(text)

    def _count(self, turn: int, answer) -> None:
        usage = answer.usage
        self.seconds += answer.seconds
        self.lines.append({"trajectory": self.name, "round": turn + 1, **usage["plait"]["round"]})
        self.counts["tokens billed"] += usage["prompt_tokens"] + usage["completion_tokens"]
        self.counts["tokens generated"] += usage["completion_tokens"]
        self.counts["calls"] += 1
        self.counts["tokens computed"] += usage["plait"]["prefill_tokens"] + usage["completion_tokens"]


async def calibrate(client: Client, draw: random.Random) -> tuple[float, float]:
    """Seconds of a prompt token and of a step of one row, with nobody else there: medians of three."""
    prompts, steps = [], []
    for _ in range(3):
        prompt = [draw.randrange(1024, 8192) for _ in range(512)]
        answer = await client.stream("/v1/completions", {"prompt": prompt, **generation(client.forced[0], 64)},
                                     time.monotonic())
        prompts.append(answer.first_token / len(prompt))
        steps.append(statistics.median(answer.gaps))
    return statistics.median(prompts), statistics.median(steps)


def replay(setup, trajectories: int, seed: int) -> dict:
    shapes = QUICK_SHAPES if setup.quick else SHAPES
    agents = [Agent(*shape, evicts) for shape in shapes for evicts in (False, True)]
    with serving(setup, "--kv-memory", "1200000000") as client:
        prompt_token, step = asyncio.run(calibrate(client, random.Random(seed)))
        runs = [Trajectory(client, agent, f"{seed}/{agent.name()}/{number}")
                for agent in agents for number in range(trajectories)]
        order = list(runs)
        random.Random(seed).shuffle(order)
        before, begun = client.metrics(), time.monotonic()
        asyncio.run(pool([one.run for one in order], OPEN))
        seconds, after = time.monotonic() - begun, client.metrics()
    return {"seed": seed, "seconds": seconds, "prompt_token_seconds": prompt_token, "step_seconds": step,
            "server": {name: after[name] - before[name] for name in
                       ("plait_prompt_rows", "plait_decode_rows", "plait_preemptions")},
            "trajectories": [{"agent": one.agent.name(), "evicts": one.agent.evicts, "seconds": one.seconds,
                              "rounds": one.lines, **one.counts} for one in runs]}


def measured_profile(setup, run: dict) -> str:
    """The machine with this model, as FLOPS/BYTES: a pair that gives steps and prompt tokens their measured times."""
    shown = run_plait(setup, "model", "show", setup.model)
    flops = 2 * shown["parameters"] / run["prompt_token_seconds"]
    weights = sum(share["bytes"] for share in shown["tensor_types"].values())
    return f"{flops:.6g}/{weights / run['step_seconds']:.6g}"


def costs_of(setup, run: dict, profile: str) -> list[dict]:
    """Of each trajectory, in order."""
    lines = "".join(json.dumps(line) + "\n" for one in run["trajectories"] for line in one["rounds"])
    told = run_plait(setup, "cost", "-", "--model", setup.model, "--profile", profile, given=lines)
    return [one["cost"] for one in told["trajectories"]]


def means(run: dict, values: list[float]) -> list[float]:
    """Of each agent."""
    names = [one["agent"] for one in run["trajectories"]]
    return [statistics.fmean(value for value, own in zip(values, names) if own == name)
            for name in dict.fromkeys(names)]


def coefficients(run: dict, values: list[float]) -> list[float]:
    """r with the clock: over agents, those that keep their cache, those that lose it, with the rounds held fixed, and
    over trajectories."""
    clock = [one["seconds"] for one in run["trajectories"]]
    ours, theirs = means(run, values), means(run, clock)
    evicts = means(run, [float(one["evicts"]) for one in run["trajectories"]])
    calls = means(run, [one["calls"] for one in run["trajectories"]])
    half = lambda side: pearson(*zip(*((a, b) for a, b, e in zip(ours, theirs, evicts) if e == side)))  # noqa: E731
    fixed = math.nan if ours == calls else partial(ours, theirs, calls)
    return [pearson(ours, theirs), half(0.0), half(1.0), fixed, pearson(values, clock)]


def least_spearman(run: dict, costs: dict[str, list[dict]], variant: str) -> float:
    """Of the agents' ranking, over all pairs of profiles."""
    per_profile = [means(run, [one[variant] for one in costs[profile]]) for profile in costs]
    return min(spearman(a, b) for number, a in enumerate(per_profile) for b in per_profile[:number])


def overstated(run: dict, values: list[float]) -> float:
    """How much dearer a second of agents that keep their cache seems than one of those that lose it."""
    sums = {side: [sum(column[n] for n, one in enumerate(run["trajectories"]) if one["evicts"] == side)
                   for column in (values, [one["seconds"] for one in run["trajectories"]])] for side in (False, True)}
    return sums[False][0] / sums[False][1] / (sums[True][0] / sums[True][1])


def measure_all(setup) -> Report:
    trajectories = 2 if setup.quick else max(1, round(10 * setup.scale))
    run = replay(setup, trajectories, setup.seed)
    setup.say(f"pte: {len(run['trajectories'])} trajectories in {run['seconds']:.1f} s")
    return report(setup, run)


def report(setup, run: dict) -> Report:
    own = measured_profile(setup, run)
    costs = {profile: costs_of(setup, run, profile) for profile in (own, *PROFILES)}
    rows, r = [], {}
    for variant in VARIANTS:
        values = [one[variant] for one in costs[own]]
        found = coefficients(run, values)
        r[variant] = found[0]
        rows.append([variant.replace("pte", "PTE").replace("_", "-"), *found, least_spearman(run, costs, variant),
                     overstated(run, values)])
    for count in COUNTS:
        found = coefficients(run, [one[count] for one in run["trajectories"]])
        r[count] = found[0]
        rows.append([count, *found, "", ""])
    best = max(VARIANTS, key=r.get)
    run["profile"], run["r"] = own, r
    lines = table(["r with wall-clock", f"{len(dict.fromkeys(one['agent'] for one in run['trajectories']))} agents",
                   "cache kept", "evicted", "rounds fixed", f"{len(run['trajectories'])} trajectories",
                   "least Spearman over profiles", "overstates who keeps the cache"], rows)
    wrong = abs(run["server"]["plait_prompt_rows"] - sum(line["prefilled"] for one in run["trajectories"]
                                                         for line in one["rounds"]))
    gates = [Gate(f"r of the best variant ({best})", r[best], 0.9),
             Gate("its r beyond that of the transcript's tokens", r[best] - r["transcript tokens"], 0.2),
             Gate("its Spearman between any two of five machines", least_spearman(run, costs, best), 0.95),
             Gate("prompt tokens that counters and replies tell differently", wrong, 0, False, exact=True)]
    return Report(lines, gates, [run])
