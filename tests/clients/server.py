# SPDX-License-Identifier: Apache-2.0
"""A running `plait serve` for tests: a process of its own on a free port, in an empty folder, ended by SIGTERM."""
import collections
import http.client
import json
import os
import pathlib
import queue
import re
import resource
import signal
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("PLAIT", ROOT / "build/release/plait")).resolve()
START_SECONDS = 120
STOP_SECONDS = 60
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^}]*\})?) (\S+)')


def default_model() -> pathlib.Path:
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "plait/models/smollm2-135m.gguf"


def run_plait(*arguments) -> str:
    """What a verb prints to stdout. It must succeed."""
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True, timeout=60).stdout


class Server:
    """Use with `with`. At its end the server gets SIGTERM and must exit with code 0, unless a test did that already.

    `environment` is added to the server's; `context` is the ssl.SSLContext with which an https server is asked;
    `file_bytes_max`: no file can become longer, as on a disk that is full.
    """

    def __init__(self, *arguments, environment=None, context=None, file_bytes_max=None):
        self.arguments = [str(argument) for argument in arguments]
        self.environment, self.context = environment or {}, context
        self.file_bytes_max = file_bytes_max
        self.process = None
        self.scheme, self.host, self.port, self.name = "http", "127.0.0.1", 0, ""
        self.headers = {}  # of every request() and json()
        self.said = []  # lines of stderr

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def __enter__(self):
        if not default_model().exists():
            raise unittest.SkipTest("the default model is not in the cache")
        self.folder = tempfile.TemporaryDirectory(prefix="plait-clients-")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PLAIT")}
        environment |= {"XDG_CONFIG_HOME": self.folder.name, "XDG_STATE_HOME": self.folder.name, **self.environment}
        self.process = subprocess.Popen([PROGRAM, "serve", "--port", "0", *self.arguments], env=environment,
                                        cwd=self.folder.name, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, **self._limits())
        try:
            self._find_address()
        except BaseException:
            self._clean_up()
            raise
        return self

    def _limits(self) -> dict:
        if self.file_bytes_max is None:
            return {}
        limit = self.file_bytes_max
        # Python ignores the signal that would end the program instead, and without `restore_signals` so does its child.
        return {"restore_signals": False,
                "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}

    def kill(self):
        """SIGKILL, as when the machine's power goes."""
        self.process.kill()
        self.process.wait()

    def __exit__(self, kind, *_):
        try:
            if self.process.returncode is None:
                code = self.stop()
                if kind is None:
                    assert code == 0, f"plait serve ended with {code}: {self.said[-20:]}"
        finally:
            self._clean_up()

    def _find_address(self):
        addresses = queue.SimpleQueue()

        def read():
            for line in self.process.stderr:
                self.said.append(line.rstrip("\n"))
                if found := re.fullmatch(r"(\S+) at (https?)://([\d.]+):(\d+)", self.said[-1]):
                    addresses.put(found)
            addresses.put(None)

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()
        try:
            found = addresses.get(timeout=START_SECONDS)
        except queue.Empty:
            found = None
        assert found, f"plait serve did not say where it listens: {self.said}"
        self.name, self.scheme, self.host, self.port = found[1], found[2], found[3], int(found[4])

    def _clean_up(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=10)
        self.process.stderr.close()
        self.folder.cleanup()

    def signal(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.signal()
        return self.process.wait(timeout=STOP_SECONDS)

    def connect(self, timeout=60) -> http.client.HTTPConnection:
        if self.scheme == "https":
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def resident_bytes(self) -> int:
        """Memory that the server holds, of mapped files only what is its own."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024

    def wait_until_said(self, text, seconds=20) -> bool:
        """Whether a line of stderr has this text, now or before the time is over."""
        end = time.monotonic() + seconds
        while not any(text in line for line in self.said):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def request(self, method, path, body=None, headers=None):
        """One exchange on a connection of its own: status, headers, body as bytes."""
        connection = self.connect()
        try:
            return exchange(connection, method, path, body, self.headers | (headers or {}))
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        """Status and the body's JSON."""
        status, _, data = self.request(method, path, body, headers)
        return status, json.loads(data)

    def metrics(self) -> dict[str, float]:
        """Every sample under its name with labels, and under the bare name the sum of all."""
        _, _, text = self.request("GET", "/metrics")
        values = collections.Counter()
        for match in filter(None, map(SAMPLE.fullmatch, text.decode().splitlines())):
            for name in {match[1], match[1].split("{")[0]}:
                values[name] += float(match[2])
        return values

    def wait_for(self, wanted, seconds=20) -> dict[str, float]:
        """The metrics as soon as `wanted` is true of them; the last ones when it does not become true in time."""
        end = time.monotonic() + seconds
        while not wanted(metrics := self.metrics()) and time.monotonic() < end:
            time.sleep(0.05)
        return metrics

    def sequences_when_idle(self) -> float:
        """Generations that still run after a while; 0 is right."""
        def count(metrics):
            return metrics["plait_sequences_running"] + metrics["plait_sequences_waiting"]

        return count(self.wait_for(lambda metrics: count(metrics) == 0))


def exchange(connection, method, path, body=None, headers=None):
    """One exchange on this connection. A body that is not text or bytes is sent as JSON."""
    if body is not None and not isinstance(body, (str, bytes)):
        body = json.dumps(body)
    connection.request(method, path, body, headers or {})
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()
