#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads a server with more than it can do, for as long as you like, and says whether it stays well.

  tools/long_load.py --seconds 1800       clients of weights 1, 2 and 4 with twice as many requests as there are rows

The requests are of all kinds: chats and completions, streamed and whole, in a JSON format, with long prompts, and some
whose client leaves in the middle. Well is: no status but 200 and 503, memory that stays level, parts of the machine
within 10 % of the weights, and nothing in flight at the end. Exit code 1 if something is not; needs the default model
and build/release.
"""
import argparse
import contextlib
import dataclasses
import http.client
import json
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/clients"))
from server import Server, run_plait  # noqa: E402

WARM_UP = 0.15  # of the time; what happens then counts for no share
MEMORY_GROWTH_MAX = 0.05
SHARE_ERROR_MAX = 0.10
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "size": {"type": "integer"}},
          "required": ["name", "size"]}
WORDS = "the sea a stone of light under old grey hills where nobody had ever been before and rain fell".split()


@dataclasses.dataclass
class Client:
    """One key, and what its requests came to."""
    name: str
    weight: float
    key: str
    tokens: float = 0
    statuses: dict = dataclasses.field(default_factory=dict)
    left: int = 0
    lost: int = 0  # connections that ended without an answer
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


def draw_request(dice: random.Random) -> tuple[str, dict, bool]:
    """Path, body, and whether the client will leave in the middle."""
    kind = dice.random()
    tokens = dice.randint(8, 48)
    words = " ".join(dice.choices(WORDS, k=dice.randint(4, 12)))
    if kind < 0.45:
        body = {"messages": [{"role": "user", "content": f"Tell me about {words}."}], "max_tokens": tokens,
                "stream": True, "stream_options": {"include_usage": True}}
        return "/v1/chat/completions", body, dice.random() < 0.15
    if kind < 0.75:
        return "/v1/completions", {"prompt": words, "max_tokens": tokens, "n": dice.choice((1, 1, 1, 2))}, False
    if kind < 0.85:
        form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA}}
        return "/v1/chat/completions", {"messages": [{"role": "user", "content": f"Name a thing of {words}."}],
                                        "max_tokens": 64, "response_format": form}, False
    return "/v1/completions", {"prompt": " ".join(dice.choices(WORDS, k=300)), "max_tokens": tokens}, False


class Load:
    """Threads that each keep one request under way."""

    def __init__(self, running: Server, clients: list[Client], threads: int, seed: int):
        self.running, self.clients = running, clients
        self.stopped = threading.Event()
        self.counting = False
        total = sum(client.weight for client in clients)
        self.threads = []
        for client in clients:
            for number in range(max(2, round(threads * client.weight / total))):
                dice = random.Random(f"{seed} {client.name} {number}")
                self.threads.append(threading.Thread(target=self.work, args=(client, dice), daemon=True))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join(timeout=60)

    def work(self, client: Client, dice: random.Random):
        while not self.stopped.is_set():
            path, body, leaves = draw_request(dice)
            connection = self.running.connect(timeout=600)
            try:
                self.ask(client, connection, path, body, leaves)
            except (OSError, http.client.HTTPException):
                with client.lock:
                    client.lost += 1
                time.sleep(0.1)
            finally:
                connection.close()

    def ask(self, client, connection, path, body, leaves):
        connection.request("POST", path, json.dumps(body), {"authorization": f"Bearer {client.key}"})
        reply = connection.getresponse()
        with client.lock:
            client.statuses[reply.status] = client.statuses.get(reply.status, 0) + 1
        if reply.status != 200:
            reply.read()
            time.sleep(0.2)
        elif body.get("stream"):
            self.read_stream(client, reply, leaves)
        else:
            self.count(client, json.loads(reply.read())["usage"])

    def read_stream(self, client, reply, leaves):
        events = 0
        while line := reply.readline():
            if not line.startswith(b"data: {"):
                continue
            events += 1
            if usage := json.loads(line[6:]).get("usage"):
                self.count(client, usage)
            if leaves and events == 4:
                self.count(client, {"completion_tokens": events, "prompt_tokens": 30, "prompt_tokens_details": {}})
                with client.lock:
                    client.left += 1
                return

    def count(self, client, usage):
        """What the request had of the machine: tokens computed for it."""
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        if self.counting:
            with client.lock:
                client.tokens += usage["prompt_tokens"] - cached + usage["completion_tokens"]


def fill_cache(running: Server, seed: int) -> None:
    """Asks until all pages of keys and values have been in use: from then on memory has no reason to grow."""
    dice = random.Random(seed)
    while (metrics := running.metrics())["plait_kv_pages_free"] > 0.05 * metrics["plait_kv_pages"]:
        prompt = " ".join(str(dice.randrange(10**6)) for _ in range(200))
        status, reply = running.json("POST", "/v1/completions", {"prompt": prompt, "max_tokens": 1})
        assert status == 200, reply


def watch(load: Load, seconds: float) -> list[int]:
    """The server's memory, about once a second after the warm-up."""
    memory = []
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds and load.running.process.poll() is None:
        time.sleep(1)
        if passed > WARM_UP * seconds:
            load.counting = True
            memory.append(load.running.resident_bytes())
    load.counting = False
    return memory


def judge(clients: list[Client], memory: list[int], idle: float) -> list[str]:
    """Prints the tables and says what is not well."""
    problems = []
    weights, tokens = sum(client.weight for client in clients), sum(client.tokens for client in clients)
    print(f"{'client':8} {'weight':>6} {'tokens':>9} {'part':>7} {'due':>7} {'left':>5} {'lost':>5}  statuses")
    for client in clients:
        part, due = client.tokens / max(tokens, 1), client.weight / weights
        print(f"{client.name:8} {client.weight:6g} {client.tokens:9.0f} {part:7.3f} {due:7.3f} {client.left:5} "
              f"{client.lost:5}  {client.statuses}")
        if abs(part / due - 1) > SHARE_ERROR_MAX:
            problems.append(f"{client.name} has {part:.3f} of the machine, {due:.3f} is due")
        if wrong := set(client.statuses) - {200, 503}:
            problems.append(f"{client.name} got the statuses {sorted(wrong)}")
        if client.lost:
            problems.append(f"{client.name} lost {client.lost} connections")
    quarter = max(1, len(memory) // 4)
    early, late = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    print(f"memory: {early / 2**20:.1f} MiB in the first quarter, {late / 2**20:.1f} MiB in the last, "
          f"{max(memory) / 2**20:.1f} MiB at most")
    if late > early * (1 + MEMORY_GROWTH_MAX):
        problems.append(f"memory has grown by {late / early - 1:.1%}")
    if idle:
        problems.append(f"{idle:.0f} sequences are left when nobody asks any more")
    return problems


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Loads a server with more than it can do.")
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--rows", type=int, default=16, help="answers that the server generates at a time")
    parser.add_argument("--load", type=float, default=2, help="requests under way, as a multiple of the rows")
    parser.add_argument("--kv-memory", type=int, default=200_000_000,
                        help="bytes of keys and values, which are all put to use before the measuring begins")
    parser.add_argument("--weights", default="1,2,4", help="of the clients")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    with contextlib.ExitStack() as stack:
        keys = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plait-load-"))) / "keys.json"
        clients = [Client(f"w{weight}", float(weight), run_plait("key", "add", f"w{weight}", "--file", keys, "--weight",
                                                                 weight).strip())
                   for weight in options.weights.split(",")]
        running = stack.enter_context(Server("--rows", options.rows, "--keys", keys, "--kv-memory", options.kv_memory,
                                             "--drain-seconds", "5"))
        running.headers = {"authorization": f"Bearer {clients[0].key}"}
        fill_cache(running, options.seed)
        with Load(running, clients, round(options.load * options.rows), options.seed) as load:
            print(f"{len(load.threads)} requests under way on {options.rows} rows for {options.seconds:g} s",
                  flush=True)
            memory = watch(load, options.seconds)
        alive = running.process.poll() is None
        problems = judge(clients, memory, running.sequences_when_idle() if alive else 0)
        if not alive:
            problems.append(f"the server ended: {running.said[-5:]}")
    for problem in problems:
        print(f"not well: {problem}")
    print("well" if not problems else f"{len(problems)} complaints")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
