#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What strategies come to on two families of generated tasks, beside plain sampling with the same budget.

    bench/strategies.py --model qwen2.5-coder-0.5b --out runs.jsonl            # about n tasks x arms answers
    bench/strategies.py --out runs.jsonl --n 20 --arms greedy outlines         # a part; goes on where it ended
    bench/strategies.py --out runs.jsonl --table                               # only the table

The families: `sums`, a sum of three products of small numbers, whose parts are independent; `coins`, the change that is
due for two kinds of things. Both have one short answer that is checked by comparison. Each line of --out is one answer:
arm, family, task, whether it is right, generated tokens, and the longest chain of tokens that had to wait for each
other. What is there is not asked again.

Arms: `greedy`, one answer at temperature 0; `sample`, one at 0.7; `majority-N` and `oracle-N`, N samples with a vote or
with the verifier that knows the answer (no user has one: it bounds what selection could give), both by the strategy
`best-of`; and every other strategy. All have the same --tokens for each call. Seconds are those of a question among
--together of them.
"""
import argparse
import concurrent.futures
import json
import math
import pathlib
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

ENDING = "Put the final number into \\boxed{}."
STRATEGIES = {
    "outlines": {"n": 4},
    "pdr": {"rounds": [4]},
    "refine": {"rounds": 2},
    "threads": {},
    "spawn": {},
    "hogwild": {"workers": 2},
    "group-think": {"thinkers": 4},
}
ARMS = ["greedy", "sample", "majority-4", "oracle-4", *STRATEGIES]


def make_task(family: str, number: int) -> tuple[str, str]:
    """The question and its answer."""
    draw = random.Random(f"{family} {number}")
    if family == "sums":
        pairs = [(draw.randint(3, 19), draw.randint(3, 19)) for _ in range(3)]
        text = " + ".join(f"{a} * {b}" for a, b in pairs)
        return (f"Solve this step by step. What is {text}? Work out each product first. {ENDING}",
                str(sum(a * b for a, b in pairs)))
    pen, book, pens, books = draw.randint(3, 9), draw.randint(11, 19), draw.randint(2, 6), draw.randint(2, 6)
    paid = 100 * math.ceil((pen * pens + book * books + 1) / 100)
    return (f"Solve this step by step. A pen costs {pen} coins and a book costs {book} coins. I buy {pens} pens and "
            f"{books} books and pay with {paid} coins. How many coins do I get back? {ENDING}",
            str(paid - pen * pens - book * books))


def answer_in(text: str) -> str:
    boxed = re.findall(r"\\boxed\{([^{}]*)\}", text)
    said = re.findall(r"(?i)answer(?: is)?:?\s*([^\n]*)", text)
    last = (boxed or said or [text.strip().split("\n")[-1]])[-1]
    return re.sub(r"[^a-z0-9]", "", last.lower())


def request(arm: str, question: str, answer: str, options: argparse.Namespace, seed: int) -> dict:
    body = {"messages": [{"role": "user", "content": question}], "seed": seed, "temperature": 0.7}
    if arm in ("greedy", "sample"):
        return body | {"max_tokens": options.tokens} | ({"temperature": 0} if arm == "greedy" else {})
    strategy, more = arm, STRATEGIES.get(arm, {})
    if arm.startswith(("majority-", "oracle-")):
        strategy, more = "best-of", {"n": int(arm.split("-")[1])}
        if arm.startswith("oracle-"):
            more["verifier"] = f"equals:{answer}"
    if strategy == "group-think":
        more = more | {"budget": options.tokens}
    return body | {"plait": {"strategy": strategy, "strategy_options": more | {"call_tokens": options.tokens}}}


def ask(url: str, body: dict) -> dict:
    data = json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + "/v1/chat/completions", data,
                                                       {"content-type": "application/json"}), timeout=3600) as reply:
        return json.loads(reply.read())


def run_one(url: str, arm: str, family: str, number: int, options: argparse.Namespace) -> dict:
    question, answer = make_task(family, number)
    began = time.monotonic()
    reply = ask(url, request(arm, question, answer, options, seed=1000 + number))
    text = reply["choices"][0]["message"]["content"] or ""
    return {"arm": arm, "family": family, "task": number, "right": answer_in(text) == answer,
            "tokens": reply["usage"]["completion_tokens"],
            "critical": reply["usage"]["plait"]["critical_path_tokens"],
            "seconds": time.monotonic() - began}


def arm_of(text: str) -> str:
    if text in ARMS or re.fullmatch(r"(majority|oracle)-[1-9]\d?", text):
        return text
    raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(ARMS)}, nor majority-N or oracle-N")


def read_runs(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def table(runs: list[dict]) -> str:
    lines = ["| family | arm | n | right | standard error | tokens | one after another | seconds |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for family in sorted({run["family"] for run in runs}):
        for arm in dict.fromkeys([*ARMS, *(run["arm"] for run in runs)]):
            part = [run for run in runs if run["arm"] == arm and run["family"] == family]
            if not part:
                continue
            right = statistics.mean(run["right"] for run in part)
            error = math.sqrt(right * (1 - right) / len(part))
            mean = {name: statistics.mean(run[name] for run in part) for name in ("tokens", "critical", "seconds")}
            lines.append(f"| {family} | {arm} | {len(part)} | {right:.2f} | {error:.2f} | {mean['tokens']:.0f} | "
                         f"{mean['critical']:.0f} | {mean['seconds']:.1f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--plait", default="build/release/plait")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--first", type=int, default=0,
                        help="number of the first task: prompts are tried on others than are reported")
    parser.add_argument("--tokens", type=int, default=320, help="of each call")
    parser.add_argument("--families", nargs="+", default=["sums", "coins"])
    parser.add_argument("--arms", nargs="+", type=arm_of, default=ARMS)
    parser.add_argument("--together", type=int, default=8, help="questions at a time: the answers are the same")
    parser.add_argument("--port", type=int, default=7660)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    runs = read_runs(options.out)
    done = {(run["arm"], run["family"], run["task"]) for run in runs}
    numbers = range(options.first, options.first + options.n)
    wanted = [(arm, family, number) for number in numbers for family in options.families
              for arm in options.arms if (arm, family, number) not in done]
    if wanted and not options.table:
        url = f"http://127.0.0.1:{options.port}"
        command = [options.plait, "serve", "-q", "--model", options.model, "--port", str(options.port)]
        with subprocess.Popen(command) as server:
            try:
                while True:
                    try:
                        urllib.request.urlopen(url + "/ready", timeout=5).read()
                        break
                    except (urllib.error.URLError, ConnectionError):
                        if server.poll() is not None:
                            return 1
                        time.sleep(0.2)
                with options.out.open("a", encoding="utf-8") as out:
                    with concurrent.futures.ThreadPoolExecutor(options.together) as pool:
                        for run in pool.map(lambda one: run_one(url, *one, options), wanted):
                            runs.append(run)
                            out.write(json.dumps(run) + "\n")
                            out.flush()
            finally:
                server.terminate()
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
