#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`plait serve` beside `llama-server` under the same loads, interleaved, as their clients see them.

    bench/server_peers.py --llama LLAMA_CPP/build/bin            # all kinds of load, about 15 minutes
    bench/server_peers.py --llama LLAMA_CPP/build/bin --kinds strangers fairness --rounds 5
    bench/server_peers.py --llama LLAMA_CPP/build/bin --percentiles --servers plait llama   # 300 samples and more
    bench/server_peers.py --openvino VENV/bin/python --servers plait openvino    # a Python that has openvino-genai
    bench/server_peers.py --quick --rounds 1                     # tiny loads: does everything work?

Every measurement starts a server of its own, sends it one small request to warm up, then the load of `plait bench
serve`, and ends it: nobody finds what an earlier load has left. In a round all servers take turns on a load with the
seed of the round, so they get the same bytes at the same times. After each round the time of the next one is compared
with what is left of --minutes; the rounds that were done are in the table's head. A load that takes longer than
--load-minutes is ended: its report has the requests that were done by then, and its wall clock is a lower bound.

The servers:
  plait            as shipped
  llama            llama-server as it is without options but the model, threads and port
  llama, slots     as many slots as requests are open at a time, room in the context for all of them, --cache-reuse 256
  llama, unified   the same with one buffer of keys and values for all slots, which shares a common prefix of choices
  llama, Q4_0      the better of the two last ones (the shorter wall clock in the first round) on a Q4_0 file
  openvino         OpenVINO GenAI's pipeline with as many requests, all at once, and no server in front of it: wall
                   clock alone (bench/peer_openvino.py)
Continuous batching is on by default in all of them. `--write FILE` replaces the table between the markers in FILE,
`--json FILE` keeps every single report.
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import typing
import urllib.error
import urllib.request

import peers

BEGIN, END = "<!-- server_peers:begin -->", "<!-- server_peers:end -->"
START_SECONDS = 120
INTERRUPTED_SECONDS = 30  # for the report of a load that was ended

# kind: options of the load, requests that are open at a time, tokens of each in the end
LOADS = {
    "single": (["single", "--requests", "5", "--prompt", "512", "--output", "64"], 1, 640),
    "strangers": (["strangers", "--users", "32", "--requests", "32", "--prompt", "128", "--output", "64"], 32, 256),
    "shared": (["shared", "--users", "16", "--requests", "16", "--shared", "768", "--prompt", "32", "--output", "64"],
               16, 928),
    "samples": (["samples", "--requests", "2", "--samples", "8", "--prompt", "768", "--output", "64"], 8, 896),
    "sessions": (["sessions", "--users", "16", "--requests", "16", "--turns", "4", "--prompt", "128", "--turn-prompt",
                  "48", "--output", "32", "--pause", "1"], 16, 768),
    "fairness": (["fairness", "--requests", "12", "--heavy", "24", "--heavy-prompt", "300", "--heavy-output", "160",
                  "--prompt", "32", "--output", "32"], 25, 512),
    "open": (["strangers", "--rate", "2", "--requests", "40", "--prompt", "96", "--output", "32"], 32, 256),
}


def with_requests(kind: str, count: int, *more: str) -> tuple[list[str], int, int]:
    options, streams, tokens = LOADS[kind]
    place = options.index("--requests") + 1
    return [*options[:place], str(count), *options[place + 1:], *more], streams, tokens


# Enough for a p99: 336 later turns, 320 strangers who come at once and at random, 300 requests of a light client.
PERCENTILES = LOADS | {
    "strangers": with_requests("strangers", 320),
    "sessions": with_requests("sessions", 112),
    "fairness": with_requests("fairness", 300, "--pause", "0.3"),
    "open": with_requests("open", 320),
}
QUICK = {
    "single": (["single", "--requests", "2", "--prompt", "32", "--output", "8"], 1, 128),
    "strangers": (["strangers", "--users", "4", "--requests", "4", "--prompt", "16", "--output", "8"], 4, 128),
    "shared": (["shared", "--users", "4", "--requests", "4", "--shared", "64", "--prompt", "8", "--output", "8"], 4,
               128),
    "samples": (["samples", "--requests", "1", "--samples", "4", "--prompt", "64", "--output", "8"], 4, 128),
    "sessions": (["sessions", "--users", "3", "--requests", "3", "--turns", "2", "--prompt", "16", "--turn-prompt",
                  "8", "--output", "8", "--pause", "0.2"], 3, 256),
    "fairness": (["fairness", "--requests", "3", "--heavy", "4", "--heavy-prompt", "32", "--heavy-output", "16",
                  "--prompt", "8", "--output", "8"], 5, 128),
    "open": (["strangers", "--rate", "4", "--requests", "6", "--prompt", "16", "--output", "8"], 6, 128),
}


SERVERS = ("plait", "llama", "llama, slots", "llama, unified", "llama, Q4_0", "openvino")
OPENVINO_KINDS = ("single", "strangers", "shared", "samples")


class Loads:
    """What is sent: options, streams and context for each kind."""

    def __init__(self, args):
        self.table = QUICK if args.quick else PERCENTILES if args.percentiles else LOADS

    def options(self, kind: str) -> list[str]:
        return self.table[kind][0]

    def slots(self, kind: str) -> list[str]:
        _, streams, tokens = self.table[kind]
        return ["-np", str(streams), "-c", str(streams * tokens), "--cache-reuse", "256"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as reply:
            return reply.status == 200
    except (OSError, urllib.error.URLError):
        return False


class Running(typing.NamedTuple):
    url: str
    pid: int


@contextlib.contextmanager
def running(command: list[str], port: int):
    """A server from its start to its end: a Running, once it answers."""
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            end = time.monotonic() + START_SECONDS
            while not answers(url):
                if process.poll() is not None or time.monotonic() > end:
                    said.seek(0)
                    raise RuntimeError(f"{command[0]} does not answer: {said.read()[-2000:].decode(errors='replace')}")
                time.sleep(0.05)
            yield Running(url, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Servers:
    def __init__(self, args, loads: Loads, llama: pathlib.Path | None):
        self.args, self.loads, self.llama = args, loads, llama
        self.model = str(args.model_dir / f"{args.model}.gguf")
        self.best = {}  # kind: options of the better one

    def command(self, server: str, kind: str, port: int) -> list[str]:
        threads = str(self.args.threads)
        if server == "plait":
            return [self.args.plait, "serve", "--port", str(port), "--model", self.model, "--threads", threads]
        command = [str(self.llama / "llama-server"), "--port", str(port), "-t", threads]
        if server == "llama":
            return [*command, "-m", self.model]
        if server == "llama, Q4_0":
            model = peers.requantised(self.llama, self.model, "Q4_0")
            return [*command, "-m", model, *self.best.get(kind, self.loads.slots(kind))]
        return [*command, "-m", self.model, *self.options(server, kind)]

    def options(self, server: str, kind: str) -> list[str]:
        return [*self.loads.slots(kind), "--kv-unified" if server == "llama, unified" else "--no-kv-unified"]

    def measure(self, server: str, kind: str, seed: int) -> dict:
        if server == "openvino":
            return self.openvino(kind)
        port = free_port()
        with running(self.command(server, kind, port), port) as started:
            url = started.url
            self.load(url, ["single", "--requests", "1", "--prompt", "24", "--output", "8", "--seed", "1000000"])
            return self.load(url, [*self.loads.options(kind), "--seed", str(seed)])

    def openvino(self, kind: str) -> dict:
        name, *options = self.loads.options(kind)
        script = pathlib.Path(__file__).resolve().parent / "peer_openvino.py"
        command = [self.args.openvino, script, "--load", name, *options, "--model", self.model,
                   "--threads", str(self.args.threads)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * self.args.load_minutes, check=False)
        if done.returncode:
            raise RuntimeError(f"{script}: {done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1]) | {"failed": 0}

    def load(self, url: str, options: list[str]) -> dict:
        command = [self.args.plait, "bench", "serve", *options, "--url", url, "--json", "--no-progress"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            ended = False
            try:
                out, err = process.communicate(timeout=60 * self.args.load_minutes)
            except subprocess.TimeoutExpired:
                ended = True
                process.send_signal(signal.SIGINT)  # it prints what there is
                try:
                    out, err = process.communicate(timeout=INTERRUPTED_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise
        if not out:
            raise RuntimeError(f"{' '.join(command)}: {err}")
        return json.loads(out) | {"ended": ended}


# What of a report stands in the table: (title, path to the number, whether more is better)
FIGURES = {
    "single": [("first token p50, s", "first_token_seconds.p50", False),
               ("between tokens p50, s", "gap_seconds.p50", False), ("wall clock, s", "seconds", False)],
    "strangers": [("wall clock, s", "seconds", False), ("first token p50, s", "first_token_seconds.p50", False),
                  ("first token p99, s", "first_token_seconds.p99", False),
                  ("longest gap p90, s", "longest_gap_seconds.p90", False),
                  ("tokens out a second", "generated_tokens_per_second", True)],
    "sessions": [("wall clock, s", "seconds", False),
                 ("first token of later turns p50, s", "later turns/first_token_seconds.p50", False),
                 ("first token of later turns p99, s", "later turns/first_token_seconds.p99", False),
                 ("longest gap p90, s", "later turns/longest_gap_seconds.p90", False)],
    "fairness": [("light: first token p50, s", "light/first_token_seconds.p50", False),
                 ("light: first token p99, s", "light/first_token_seconds.p99", False),
                 ("light: whole p50, s", "light/whole_seconds.p50", False),
                 ("heavy: longest gap p90, s", "heavy/longest_gap_seconds.p90", False),
                 ("tokens out a second, both", "generated_tokens_per_second", True)],
}
FIGURES["shared"] = FIGURES["samples"] = FIGURES["open"] = FIGURES["strangers"]


def figure(report: dict, path: str) -> float | None:
    """A number of a report: of the whole, of its only group, or of the group before the slash. None: it has none."""
    if path in report:
        return report[path]
    if "groups" not in report:
        return None
    name, _, rest = path.rpartition("/")
    group = next(group for group in report["groups"] if not name or group["name"] == name)
    part, _, field = rest.partition(".")
    return group[part][field]


def run_rounds(args, servers: Servers) -> list[dict]:
    """[{round, kind, server, report}], all servers on one load after the other. Ends with the time that there is."""
    started, results = time.monotonic(), []
    names = [name for name in SERVERS if name in args.servers]
    for turn in range(args.rounds):
        begun = time.monotonic()
        for kind in args.kinds:
            for name in names:
                if name == "openvino" and kind not in OPENVINO_KINDS:
                    continue
                before = time.monotonic()
                report = servers.measure(name, kind, seed=turn + 1)
                results.append({"round": turn + 1, "kind": kind, "server": name, "report": report})
                if args.json:  # whoever ends this early keeps what there is
                    args.json.write_text(json.dumps(results, indent=1))
                print(f"round {turn + 1}, {kind}, {name}: {report['seconds']:.2f} s"
                      f"{', ENDED' if report.get('ended') else ''}"
                      f"{', ' + str(report['failed']) + ' FAILED' if report['failed'] else ''}"
                      f" ({time.monotonic() - before:.1f} s in all)", file=sys.stderr)
            if turn == 0:
                choose_best(servers, results, kind)
        took = time.monotonic() - begun
        if time.monotonic() - started + took > 60 * args.minutes:
            break
    return results


def choose_best(servers: Servers, results: list[dict], kind: str) -> None:
    """For rounds to come: the options with the shorter wall clock in the first one."""
    tried = {entry["server"]: entry["report"]["seconds"] for entry in results if entry["kind"] == kind
             and entry["server"] in ("llama, slots", "llama, unified")}
    if tried:
        servers.best[kind] = servers.options(min(tried, key=tried.get), kind)


def spread(values: list[float]) -> str:
    digits = 1 if statistics.median(values) >= 100 else 3
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def times_better(ours: list[float], theirs: list[float], more_is_better: bool) -> str:
    pairs = [(a, b) if more_is_better else (b, a) for a, b in zip(ours, theirs)]
    ratios = [a / b for a, b in pairs if b > 0]
    return peers.ratio(ratios) if ratios else "–"


def table_of(results: list[dict]) -> list[str]:
    lines = ["| load | what | server | its figure | plait's | plait is better by |",
             "| --- | --- | --- | --- | --- | --- |"]
    kinds = list(dict.fromkeys(entry["kind"] for entry in results))
    names = list(dict.fromkeys(entry["server"] for entry in results))
    for kind in kinds:
        reports = {name: [entry["report"] for entry in results if (entry["kind"], entry["server"]) == (kind, name)]
                   for name in names}
        for title, path, more in FIGURES[kind]:
            values = {name: [found for report in reports[name] if (found := figure(report, path)) is not None]
                      for name in names}
            ours = values.get("plait", [])
            for name in names:
                if name == "plait" and len(names) > 1 or not values[name]:
                    continue
                lines.append(f"| {kind} | {title} | {name} | {spread(values[name])} | "
                             f"{spread(ours) if ours else '–'} | {times_better(ours, values[name], more)} |")
        lines += [f"| {kind} | ended before all was done | {name} | {ended} of {len(reports[name])} | | |"
                  for name in names if (ended := sum(report.get("ended", False) for report in reports[name]))]
        lines += [f"| {kind} | failed requests | {name} | {failed} | | |" for name in names
                  if (failed := sum(report["failed"] for report in reports[name]))]
    return lines


def head_of(args, results: list[dict]) -> list[str]:
    rounds = max(entry["round"] for entry in results)
    shares = [entry["report"]["generator"]["share_of_a_core"] for entry in results if "generator" in entry["report"]]
    share = f"{100 * statistics.median(shares):.1f} % of a core (at most {100 * max(shares):.1f} %)"
    return [f"{time.strftime('%Y-%m-%d')}, {peers.cpu_name()}; {args.model}, {args.threads} threads; {rounds} rounds, "
            f"interleaved; median (smallest–largest). The generator itself took {share}.", ""]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    parser.add_argument("--plait", default="build/release/plait")
    parser.add_argument("--llama", type=pathlib.Path, help="folder with llama-server and llama-quantize")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/peers"),
                        help="where llama.cpp is built without --llama")
    parser.add_argument("--model-dir", type=pathlib.Path, default=cache / "plait" / "models")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kinds", nargs="+", choices=list(LOADS), default=[kind for kind in LOADS if kind != "open"])
    parser.add_argument("--servers", nargs="+", default=[name for name in SERVERS if name != "openvino"],
                        choices=SERVERS, metavar="SERVER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=15, help="no round begins that would end later")
    parser.add_argument("--load-minutes", type=float, default=10, help="a load that takes longer is ended")
    parser.add_argument("--percentiles", action="store_true", help="loads of 300 requests and more")
    parser.add_argument("--openvino", metavar="PYTHON", help="a Python that has openvino-genai")
    parser.add_argument("--quick", action="store_true", help="tiny loads, to see that everything works")
    parser.add_argument("--json", type=pathlib.Path, help="file for every single report")
    parser.add_argument("--write", type=pathlib.Path, help="file whose table between the markers is replaced")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    if "openvino" in args.servers and not args.openvino:
        raise SystemExit("server_peers.py: --openvino PYTHON names a Python that has openvino-genai")
    needs_llama = any(name.startswith("llama") for name in args.servers)
    servers = Servers(args, Loads(args), args.llama or (peers.build_peer(args.build) if needs_llama else None))
    results = run_rounds(args, servers)
    text = "\n".join(head_of(args, results) + table_of(results))
    print(text)
    if args.write:
        page = args.write.read_text()
        args.write.write_text(page.split(BEGIN)[0] + BEGIN + "\n" + text + "\n" + END + page.split(END)[1])


if __name__ == "__main__":
    main()
