# SPDX-License-Identifier: Apache-2.0
# Made of _async.py by tools/sync_client.py: change that file, and run this.
"""The client that blocks: where a value is read, and elsewhere only until the server has noted the request."""
from __future__ import annotations

import math
import time
from typing import Any, Callable, Generic, Iterator, Mapping, Sequence, TypeVar

import httpx

from . import _wire
from ._errors import ConnectionFailed, error_of
from ._types import (Appended, Capture, Event, Joined, StrandState, Thought, ThoughtEvent, appended_of, capture_of,
                     joined_of, state_of)

T = TypeVar("T")


class Value(Generic[T]):
    """A result that may come later: get() it."""

    def __init__(self, client: Client, path: str, parse: Callable[[Mapping[str, Any]], T]):
        self._client, self._path, self._parse = client, path, parse
        self._result: T | None = None
        self._error: Exception | None = None

    def get(self, timeout: float | None = None) -> T:
        """The result; blocks until it is there. An error of the operation is raised here, each time. Raises
        TimeoutError after `timeout` seconds, rounded up; the operation goes on then."""
        end = None if timeout is None else time.monotonic() + timeout
        while self._result is None and self._error is None:
            left = _wire.POLL_SECONDS if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no result within {timeout} s")
            self._poll(min(_wire.POLL_SECONDS, math.ceil(left)))
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def ready(self) -> bool:
        """Whether get() would return, or raise, at once."""
        return self._result is not None or self._error is not None or self._poll(0)

    def _poll(self, seconds: int) -> bool:
        response = self._client._send("GET", f"{self._path}?timeout={seconds}")
        if response.status_code == 202:
            return False
        try:
            self._result = self._parse(_wire.reply(response))
        except Exception as error:
            self._error = error
        return True


class Strand:
    """A text on the server that grows, forks and joins. As a context it is deleted at the end, and all below it."""

    def __init__(self, client: Client, id: str, root: str, parent: str | None):
        self.id, self.root, self.parent = id, root, parent
        self._client = client
        self._values: dict[str, Value[Capture]] = {}

    def __enter__(self) -> Strand:
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()

    def __repr__(self) -> str:
        return f"Strand({self.id!r})"

    def __getitem__(self, name: str) -> str:
        """The text of the last gen() or select() of this name; blocks until it is there."""
        return self._values[name].get().text

    def append(self, text: str | None = None, *, messages: _wire.Messages | str | None = None,
               token_ids: Sequence[int] | None = None) -> Value[Appended]:
        """Adds a text, turns of a chat (a string is a user's turn), or tokens."""
        return self._ask("append", _wire.content(text, messages, token_ids), appended_of)

    def gen(self, name: str = "", *, max_tokens: int | None = None, stop: _wire.Stop | None = None,
            temperature: float | None = None, seed: int | None = None, regex: str | None = None,
            grammar: str | None = None, json_schema: Mapping[str, Any] | None = None,
            logprobs: int | None = None, **options: Any) -> Value[Capture]:
        """Generates at the end of the strand. `options`: the other fields of /v1/completions (`top_p`, `top_k`,
        `min_p`, `logit_bias`, `ignore_eos`, …), `return_token_ids` and `stop_include`."""
        options |= {"max_tokens": max_tokens, "stop": stop, "temperature": temperature, "seed": seed, "regex": regex,
                    "grammar": grammar, "json_schema": json_schema, "logprobs": logprobs}
        self._values[name] = self._ask("gen", _wire.gen(name, options), capture_of)
        return self._values[name]

    def stream(self, name: str = "", **options: Any) -> Iterator[str]:
        """gen() with its text as it comes. Whole UTF-8, never a part of a stop string."""
        body = _wire.gen(name, options) | {"stream": True}
        for event in self._client._events("POST", self._path("gen"), body):
            if event.kind == "text":
                yield event.data["text"]
            elif event.kind == "error":
                raise error_of(0, event.data)

    def select(self, name: str, options: Sequence[str], *, rule: str = "mean") -> Value[Capture]:
        """Appends the most likely option. `rule`: "mean" log-probability of its tokens, their "sum", or
        "unconditional": the sum less what it is at the beginning of a text."""
        body = {"name": name, "options": list(options), "rule": rule}
        self._values[name] = self._ask("select", body, capture_of)
        return self._values[name]

    def fork(self, n: int = 1) -> list[Strand]:
        """Children that go on from here at the same time."""
        reply = self._client._json("POST", self._path("fork"), {"n": n})
        return [Strand(self._client, child["id"], child["root"], child["parent"]) for child in reply["data"]]

    def join(self, children: Sequence[Strand] | None = None, *, how: str = "text",
             capture: str | None = None, separator: str | None = None,
             skip_failed: bool = False) -> Value[Joined]:
        """Waits for the children and takes over what they have written: their "text" in their order, only their
        "variables", or their "spans" without computing anything again."""
        ids = [child.id for child in children] if children is not None else None
        return self._ask("join", _wire.join(ids, how, capture, separator, skip_failed), joined_of)

    def cancel(self) -> int:
        """Ends what runs and drops what waits, here and below. Returns how many operations that were."""
        return int(self._client._json("POST", self._path("cancel"))["cancelled"])

    def delete(self) -> None:
        """Forgets the strand and all below it. One that is gone already is no error."""
        response = self._client._send("DELETE", self._path())
        if response.status_code != 404:
            _wire.reply(response)

    def state(self, *, text: bool = False) -> StrandState:
        return state_of(self._client._json("GET", self._path() + ("?text=true" if text else "")))

    @property
    def text(self) -> str:
        """All of it, as it is now."""
        return self.state(text=True).text or ""

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happens in the whole tree from event `after` on, until the tree is deleted. A connection that breaks is
        made again, and goes on where it was."""
        while True:
            try:
                for event in self._client._events("GET", self._path("events"), None, after):
                    after = max(after, event.id)
                    yield event
                return
            except ConnectionFailed:
                time.sleep(0.2)
                self.state()  # raises if there is nothing to go on with

    def _path(self, *parts: str) -> str:
        return "/".join((_wire.STRANDS, self.id, *parts))

    def _ask(self, verb: str, body: dict[str, Any], parse: Callable[[Mapping[str, Any]], T]) -> Value[T]:
        asked = self._client._json("POST", self._path(verb), body | {"wait": False})
        return Value(self._client, self._path("operations", str(asked["operation"])), parse)


class Client:
    """A server. Any thread; close it, or use it with `with`."""

    def __init__(self, base_url: str | None = None, *, api_key: str | None = None, timeout: float = 60,
                 http: httpx.Client | None = None):
        """`base_url`: else what PLAIT_URL says, else a server on this machine. `timeout`: seconds without a byte of an
        answer that is due. `http`: a client of your own; it stays open."""
        self._owned = http is None
        self._http = http or httpx.Client(base_url=_wire.url(base_url), headers=_wire.headers(api_key),
                                          timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._owned:
            self._http.close()

    def strand(self, text: str | None = None, *, messages: _wire.Messages | str | None = None,
               token_ids: Sequence[int] | None = None, seed: int | None = None, heal: bool = True,
               model: str | None = None, user: str | None = None, cache_salt: str | None = None,
               priority: int | None = None) -> Strand:
        """A new strand. `seed`: its generations and those of all its forks follow from it. `heal`: a generation may
        choose the last token of the text before it again."""
        body = _wire.create(text, messages, token_ids, seed, heal, model, user, cache_salt, priority)
        made = self._json("POST", _wire.STRANDS, body)
        return Strand(self, made["id"], made["root"], made["parent"])

    def think(self, question: _wire.Messages | str, strategy: str = "best-of", *,
              options: Mapping[str, Any] | None = None, max_tokens: int | None = None,
              temperature: float | None = None, seed: int | None = None, model: str | None = None,
              user: str | None = None, on_event: Callable[[ThoughtEvent], Any] | None = None) -> Thought:
        """A question that a strategy of strands works on. `options`: the strategy's own, and `call_tokens`, `seconds`;
        `max_tokens`: of all strands together. `on_event` hears what the strands do as they do it."""
        body = _wire.think(question, strategy, options, max_tokens, temperature, seed, model, user)
        reader = _wire.ThoughtReader()
        try:
            with self._http.stream("POST", _wire.CHAT, json=body,
                                   timeout=_wire.stream_timeout(self._http.timeout)) as response:
                if response.status_code != 200:
                    response.read()
                    _wire.reply(response)
                for line in response.iter_lines():
                    event = reader.push(line)
                    if event is not None and on_event is not None:
                        on_event(event)
        except httpx.TransportError as error:
            raise ConnectionFailed(f"POST {_wire.CHAT}: {error or type(error).__name__}") from error
        return reader.thought()

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{method} {path}: {error or type(error).__name__}") from error

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        return _wire.reply(self._send(method, path, body))

    def _events(self, method: str, path: str, body: Any, after: int = 0) -> Iterator[Event]:
        reader = _wire.EventReader()
        more = {"last-event-id": str(after)} if after else {}
        try:
            with self._http.stream(method, path, json=body, headers=more,
                                   timeout=_wire.stream_timeout(self._http.timeout)) as response:
                if response.status_code != 200:
                    response.read()
                    _wire.reply(response)
                for line in response.iter_lines():
                    for event in reader.push(line):
                        yield event
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{method} {path}: {error or type(error).__name__}") from error
