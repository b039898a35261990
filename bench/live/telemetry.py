# SPDX-License-Identifier: Apache-2.0
"""What traces cost a running server: requests of few tokens, for each of which a span is written to a file and sent to
a collector, beside the same requests without.

Both servers run the same seeded load by turns. What is compared is the processor time that the server took for it, of
all its threads: a share of one in a hundred drowns in a clock's noise. The collector takes what comes and counts it.
"""
import http.server
import json
import pathlib
import statistics
import tempfile
import threading

from client import run_plait, serving
from figures import Gate, Report, number, spread, table
from threads import thread_seconds

ARMS = ("without", "with traces")


class Collector(http.server.ThreadingHTTPServer):
    """Counts the spans that are sent to it."""
    daemon_threads = True

    def __init__(self):
        self.spans = 0
        super().__init__(("127.0.0.1", 0), Taker)


class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the library's name
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.spans += sum(len(scope["spans"]) for resource in body.get("resourceSpans", [])
                                 for scope in resource["scopeSpans"])
        self.send_response(200)
        self.send_header("content-length", "2")
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_) -> None:
        """Nothing."""


def measure(setup, arm: str, sizes: tuple[int, int], seed: int) -> dict:
    users, requests = sizes
    with tempfile.TemporaryDirectory() as folder, Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        file = pathlib.Path(folder) / "traces.jsonl"
        on = (f"PLAIT_SERVER_TRACE_FILE={file}", f"PLAIT_SERVER_OTLP_URL=http://127.0.0.1:{collector.server_port}")
        with serving(setup, environment=on if arm == ARMS[1] else ()) as client:
            before = thread_seconds(client.pid)
            done = run_plait(setup, "bench", "serve", "strangers", "--users", str(users), "--requests", str(requests),
                             "--prompt", "64", "--output", "16", "--url", client.url, "--seed", str(seed),
                             "--no-progress")
            after = thread_seconds(client.pid)
        # The server has ended, so it has sent and written what it had.
        lines = file.read_text().count("\n") if file.exists() else 0
        collector.shutdown()
        return {"arm": arm, "seconds": done["seconds"], "requests": requests,
                "processor_seconds": sum(after) - sum(before), "http_seconds": after[0] - before[0],
                "lines": lines, "spans": collector.spans}


def measure_all(setup) -> Report:
    sizes = (4, 8) if setup.quick else (16, 320)
    runs = []
    for turn in range(setup.rounds):
        for arm in ARMS if turn % 2 == 0 else ARMS[::-1]:
            runs.append(measure(setup, arm, sizes, setup.seed + turn))
            setup.say(f"telemetry, round {turn + 1}, {arm}: {runs[-1]['processor_seconds']:.2f} s of processor time")
    return report(runs)


def report(runs: list[dict]) -> Report:
    of = {arm: [run for run in runs if run["arm"] == arm] for arm in ARMS}

    def overhead(field: str) -> list[float]:
        return [100 * (on[field] / off[field] - 1) for off, on in zip(of[ARMS[0]], of[ARMS[1]])]
    rows = [[title, *(spread([run[field] for run in of[arm]]) for arm in ARMS), spread(overhead(field))]
            for title, field in (("processor time of the server, s", "processor_seconds"),
                                 ("wall clock, s", "seconds"))]
    rows.append(["lines in the file", *(spread([run["lines"] for run in of[arm]]) for arm in ARMS), ""])
    rows.append(["spans at the collector", *(spread([run["spans"] for run in of[arm]]) for arm in ARMS), ""])
    # Each request has its own line and span; so may what it is part of.
    untold = min(min(run["lines"], run["spans"]) - run["requests"] for run in of[ARMS[1]])
    return Report(table([f"{number(runs[0]['requests'])} requests of 64 and 16 tokens", *ARMS, "more, %"], rows), [
        Gate("processor time more with traces, %", statistics.median(overhead("processor_seconds")), 1, False),
        Gate("traces beyond one for each request", untold, 0, exact=True),
        Gate("traces without being asked for", max(run["lines"] + run["spans"] for run in of[ARMS[0]]), 0, False, True),
    ], runs)
