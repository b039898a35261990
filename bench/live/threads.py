# SPDX-License-Identifier: Apache-2.0
"""What HTTP itself costs a running server: its thread's processor time, its promptness under load, its connections.

64 streams for as long as the other figures take: processor time of the thread that reads and writes HTTP beside that of
all others, which compute; `/health` asked again and again on one connection; and beside it a pipe between two idle
threads of this program, to know what waking up costs on these cores while they compute. Then, without load, the memory
that idle connections take.
"""
import http.client
import multiprocessing
import os
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import threading
import time

from client import Client, serving
from figures import Gate, Report, number, percentile, spread, table

HTTP_THREAD = "plait-http"
PAUSE = 0.02  # between two questions: nobody is awake any more


def thread_seconds(pid: int) -> tuple[float, float]:
    """Processor time of the thread that speaks HTTP, and of all others."""
    http_seconds = others = 0.0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        text = (task / "stat").read_text()
        name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
        seconds = (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
        if name == HTTP_THREAD:
            http_seconds += seconds
        else:
            others += seconds
    return http_seconds, others


def probe(port: int, seconds: float, found) -> None:
    """A process of its own, whose interpreter nobody else keeps: times of /health and of wakings, by turns."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    reading, writing = os.pipe()
    health, wakings = [], []

    def wake() -> None:
        while stamp := os.read(reading, 32):
            wakings.append(time.monotonic() - float(stamp))

    sleeper = threading.Thread(target=wake)
    sleeper.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        connection.request("GET", "/health")
        connection.getresponse().read()
        health.append(time.monotonic() - begun)
        time.sleep(PAUSE)
        os.write(writing, f"{time.monotonic():.9f}".encode())
        time.sleep(PAUSE)
    os.close(writing)
    sleeper.join()
    found.put((health, wakings))


def under_load(setup, client: Client, streams: int, tokens: int, seconds: float) -> dict:
    load = subprocess.Popen([setup.plait, "bench", "serve", "strangers", "--users", str(streams), "--prompt", "16",
                             "--output", str(tokens), "--url", client.url, "--seed", str(setup.seed), "--json",
                             "--no-progress"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while client.metrics()["plait_sequences_running"] < streams and load.poll() is None:
            time.sleep(0.05)
        found = multiprocessing.Queue()
        prober = multiprocessing.Process(target=probe, args=(client.port, seconds, found))
        before, tokens_before = thread_seconds(client.pid), client.metrics()["plait_decode_rows"]
        prober.start()
        health, wakings = found.get()
        prober.join()
        after, rows = thread_seconds(client.pid), client.metrics()["plait_decode_rows"] - tokens_before
        if load.poll() is not None:
            raise RuntimeError("the load ended before the measurement: more tokens are needed")
    finally:
        load.kill()
        load.wait()
    return {"http_seconds": after[0] - before[0], "engine_seconds": after[1] - before[1], "tokens": rows,
            "health": health, "wakings": wakings}


def resident(pid: int) -> int:
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def idle_connections(client: Client, count: int) -> dict:
    before = resident(client.pid)
    sockets = []
    try:
        for _ in range(count):
            sockets.append(socket.create_connection(("127.0.0.1", client.port)))
        while client.metrics()["plait_http_connections"] < count:
            time.sleep(0.05)
        return {"connections": count, "bytes": resident(client.pid) - before}
    finally:
        for one in sockets:
            one.close()


def measure(setup, streams: int, tokens: int, seconds: float, connections: int) -> dict:
    room = str(connections + 100)
    with serving(setup, "--connections", room, environment=(f"PLAIT_SERVER_CONNECTIONS_PER_ADDRESS={room}",)) as client:
        idle = idle_connections(client, connections)
        return {"streams": streams, **idle, **under_load(setup, client, streams, tokens, seconds)}


def measure_all(setup) -> Report:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sizes = (8, 4000, 1.0, 50) if setup.quick else (64, 4000, 20.0, 2000)
    runs = []
    for turn in range(setup.rounds):
        runs.append(measure(setup, *sizes))
        setup.say(f"threads, round {turn + 1}: {runs[-1]['tokens']:.0f} tokens")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return report(runs)


def report(runs: list[dict]) -> Report:
    share = [run["http_seconds"] / run["engine_seconds"] for run in runs]
    health = [percentile(run["health"], 0.99) for run in runs]
    waking = [percentile(run["wakings"], 0.99) for run in runs]
    ratio = statistics.median(a / b for a, b in zip(health, waking))
    mebibytes = [run["bytes"] / 2**20 for run in runs]
    streams, connections = runs[0]["streams"], runs[0]["connections"]
    rows = [[f"processor time of the HTTP thread, of the others' at {streams} streams, %",
             spread([100 * one for one in share])],
            ["tokens a second of processor time of the HTTP thread",
             spread([run["tokens"] / max(run["http_seconds"], 0.01) for run in runs])],
            ["p50 of /health meanwhile, ms", spread([1e3 * percentile(run["health"], 0.5) for run in runs])],
            ["p99 of /health meanwhile, ms", spread([1e3 * one for one in health])],
            ["p99 of waking an idle thread meanwhile, ms", spread([1e3 * one for one in waking])],
            [f"memory of {number(connections)} idle connections, MiB", spread(mebibytes)]]
    tokens = min(run["tokens"] for run in runs)
    return Report(table(["what", "measured"], rows), [
        Gate(f"processor time of the HTTP thread, share of the others' at {streams} streams",
             statistics.median(share), 0.03, False),
        Gate("p99 of /health by p99 of an idle thread's waking", ratio, 5, False),
        Gate(f"memory of {number(connections)} idle connections, MiB", statistics.median(mebibytes), 100, False),
        Gate("tokens generated meanwhile", tokens, 1, exact=True)], runs)
