# SPDX-License-Identifier: Apache-2.0
"""A client of one server: many requests at once on one thread, and what each of them saw."""
import asyncio
import contextlib
import dataclasses
import json
import re
import subprocess
import time
import typing
import urllib.parse
import urllib.request

import server_peers

# A token that is repeated by force makes an answer whose text is known beforehand, one decode step for each token.
FORCE = 100
WORDS = " time year people way day man thing woman life child world school state family group problem hand part place"
SAMPLE = re.compile(r"(plait_\w+?)(?:_total)?(?:\{[^}]*\})? (\S+)")


@dataclasses.dataclass
class Answer:
    """Of one request; times are seconds of the monotonic clock."""
    due: float
    sent: float = 0
    first: float = 0
    end: float = 0
    gaps: list = dataclasses.field(default_factory=list)
    text: str = ""
    usage: dict = dataclasses.field(default_factory=dict)

    @property
    def first_token(self) -> float:
        return self.first - self.due

    @property
    def seconds(self) -> float:
        return self.end - self.due


class Forced(typing.NamedTuple):
    """What an answer consists of, again and again."""
    token: int
    text: str


class Client:
    def __init__(self, url: str, pid: int):
        parts = urllib.parse.urlsplit(url)
        self.url, self.pid, self.host, self.port = url, pid, parts.hostname, parts.port
        self.forced = []

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return reply.read().decode()

    def metrics(self) -> dict[str, float]:
        """plait's counters and gauges without "_total", models added up."""
        sums: dict[str, float] = {}
        for line in self.get("/metrics").splitlines():
            if found := SAMPLE.fullmatch(line):
                sums[found[1]] = sums.get(found[1], 0) + float(found[2])
        return sums

    async def post(self, path: str, body: dict) -> dict:
        pieces = []
        await self._exchange("POST", path, body, pieces.append)
        return json.loads(b"".join(pieces))

    async def delete(self, path: str) -> None:
        await self._exchange("DELETE", path, None, lambda piece: None)

    async def stream(self, path: str, body: dict, due: float) -> Answer:
        """Of /v1/completions, or of a strand's generation."""
        answer, begun = Answer(due, time.monotonic()), bytearray()
        last = 0.0

        def piece(data: bytes) -> None:
            nonlocal last
            now = time.monotonic()
            begun.extend(data)
            while (end := begun.find(b"\n\n")) >= 0:
                event = bytes(begun[:end])
                del begun[:end + 2]
                text = read_event(event, answer)
                if not text:
                    continue
                answer.text += text
                if last:
                    answer.gaps.append(now - last)
                answer.first, last = answer.first or now, now

        await self._exchange("POST", path, body, piece)
        answer.end = time.monotonic()
        return answer

    async def _exchange(self, method: str, path: str, body: dict | None, piece) -> None:
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24)
        try:
            writer.write((f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                          f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n").encode() + data)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"transfer-encoding: chunked" not in head:
                rest = await reader.read()
                if not head.startswith((b"http/1.1 200", b"http/1.1 202")):
                    raise RuntimeError(f"{method} {path}: {head.splitlines()[0].decode()} {rest[:500].decode()}")
                piece(rest)
                return
            while size := int(await reader.readline(), 16):
                piece(await reader.readexactly(size))
                await reader.readexactly(2)
        finally:
            writer.close()

    async def find_forced(self) -> None:
        """Tokens whose text is a word, so that each of them is sent as soon as it is there."""
        tokens = (await self.post("/tokenize", {"content": WORDS}))["tokens"]
        for token in dict.fromkeys(tokens):
            text = (await self.post("/detokenize", {"tokens": [token]}))["content"]
            if text.strip().isalpha():
                self.forced.append(Forced(token, text))


def read_event(event: bytes, answer: Answer) -> str:
    """The event's text; its usage goes to `answer`."""
    data = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
    if not data or data == b"[DONE]":
        return ""
    value = json.loads(data)
    if value.get("error"):
        raise RuntimeError(f"in the stream: {value['error']}")
    if value.get("usage"):
        answer.usage = value["usage"]
    if value.get("object") == "strand.capture":
        return ""
    if "choices" in value:
        return "".join(choice.get("text") or "" for choice in value["choices"])
    return value.get("text") or ""


def generation(forced: Forced, tokens: int) -> dict:
    """Fields of a request whose answer is this token, so many times."""
    return {"max_tokens": tokens, "ignore_eos": True, "temperature": 0, "logit_bias": {str(forced.token): FORCE},
            "stream": True, "stream_options": {"include_usage": True}}


def check_forced(answer: Answer, forced: Forced, tokens: int) -> None:
    """The script was followed, to the token."""
    if answer.usage.get("completion_tokens") != tokens or answer.text.strip() != (forced.text * tokens).strip():
        raise RuntimeError(f"{tokens} times {forced.text!r} was asked for, but there came {answer.usage}, "
                           f"{answer.text[:200]!r}")


async def pool(tasks: list, users: int) -> list:
    """Results of coroutine functions, so many at a time, begun in their order."""
    waiting, results = list(enumerate(tasks)), [None] * len(tasks)

    async def work() -> None:
        while waiting:
            number, task = waiting.pop(0)
            results[number] = await task()

    await asyncio.gather(*(work() for _ in range(users)))
    return results


@contextlib.contextmanager
def serving(setup, *options: str, environment: tuple[str, ...] = ()):
    """`plait serve` of the setup's model with these options, from its start to its end."""
    port = server_peers.free_port()
    command = ["env", *environment, setup.plait, "serve", "--port", str(port), "--model", setup.model, "--models",
               setup.model, "--threads", str(setup.threads), "-q", *options]
    with server_peers.running(command, port) as server:
        client = Client(server.url, server.pid)
        asyncio.run(client.find_forced())
        yield client


def run_plait(setup, *arguments: str, given: str = "") -> dict:
    """What a verb prints with --json."""
    done = subprocess.run([setup.plait, *arguments, "--json"], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"plait {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)
