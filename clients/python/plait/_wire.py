# SPDX-License-Identifier: Apache-2.0
"""The requests and the streams, without any input or output: what both clients share."""
from __future__ import annotations

import json
import os
from typing import Any, Iterator, Mapping, Sequence, Union

import httpx

from ._errors import ServerFailed, error_of
from ._types import Event, Thought, ThoughtEvent, thought_of

DEFAULT_URL = "http://127.0.0.1:7524"
POLL_SECONDS = 30  # one request for a value waits so long
STRANDS = "/v1/strands"
CHAT = "/v1/chat/completions"
Messages = Sequence[Mapping[str, Any]]
Stop = Union[str, Sequence[Union[str, int]]]


def url(given: str | None) -> str:
    return given or os.environ.get("PLAIT_URL") or DEFAULT_URL


def headers(api_key: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {api_key}"} if api_key else {}


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def content(text: str | None, messages: Messages | str | None, token_ids: Sequence[int] | None) -> dict[str, Any]:
    """What is appended. A text in the place of `messages` is a user's turn."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return given(text=text, messages=list(messages) if messages is not None else None,
                 token_ids=list(token_ids) if token_ids is not None else None)


def think(question: Messages | str, strategy: str, options: Mapping[str, Any] | None, max_tokens: int | None,
          temperature: float | None, seed: int | None, model: str | None, user: str | None) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else list(question)
    return given(messages=messages, max_tokens=max_tokens, temperature=temperature, seed=seed, model=model, user=user,
                 stream=True, plait=given(strategy=strategy, strategy_options=options))


class ThoughtReader:
    """Reads a strategy's stream line by line."""

    def __init__(self) -> None:
        self._answer = ""
        self._end: Mapping[str, Any] | None = None

    def push(self, line: str) -> ThoughtEvent | None:
        if not line.startswith("data: {"):
            return None
        chunk = json.loads(line[len("data: "):])
        if "error" in chunk:
            raise ServerFailed(chunk["error"]["message"])
        extra = chunk.get("plait")
        for choice in chunk.get("choices", ()):
            self._answer += choice["delta"].get("content") or ""
            if choice["finish_reason"] is not None:
                self._end = extra
        if extra is None or "event" not in extra:
            return None
        return ThoughtEvent(extra["event"], extra["call"], extra.get("text", ""))

    def thought(self) -> Thought:
        if self._end is None:
            raise ServerFailed("the stream ended before the answer")
        return thought_of(self._answer, self._end)


def create(text: str | None, messages: Messages | str | None, token_ids: Sequence[int] | None, seed: int | None,
           heal: bool, model: str | None, user: str | None, cache_salt: str | None,
           priority: int | None) -> dict[str, Any]:
    body = content(text, messages, token_ids) | given(seed=seed, model=model, user=user)
    extra = given(cache_salt=cache_salt, priority=priority)
    return body | ({} if heal else {"heal": False}) | ({"plait": extra} if extra else {})


def gen(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The body of a gen. Of regex, grammar and json_schema at most one becomes its format."""
    options = dict(options)
    formats = {"regex": lambda value: {"type": "regex", "pattern": value},
               "grammar": lambda value: {"type": "grammar", "grammar": value},
               "json_schema": lambda value: {"type": "json_schema", "json_schema": {"name": "schema", "schema": value}}}
    chosen = [(kind, value) for kind in formats if (value := options.pop(kind, None)) is not None]
    if len(chosen) > 1:
        raise ValueError("regex, grammar and json_schema exclude each other")
    if chosen:
        kind, value = chosen[0]
        options["response_format"] = formats[kind](value)
    extra = given(**{name: options.pop(name, None) for name in ("return_token_ids", "stop_include")})
    return {"name": name} | given(**options) | ({"plait": extra} if extra else {})


def join(children: Sequence[str] | None, how: str, capture: str | None, separator: str | None,
         skip_failed: bool) -> dict[str, Any]:
    body = given(children=children, how=how, capture=capture, separator=separator)
    return body | ({"skip_failed": True} if skip_failed else {})


def stream_timeout(timeout: httpx.Timeout) -> httpx.Timeout:
    """The same, but for the time between two events, which may be any."""
    return httpx.Timeout(connect=timeout.connect, read=None, write=timeout.write, pool=timeout.pool)


def reply(response: httpx.Response) -> Any:
    """The JSON of a success; else raises."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.status_code >= 400 or body is None:
        raise error_of(response.status_code, body, response.headers)
    return body


class EventReader:
    """Server-sent events from lines (HTML Living Standard, 9.2), as far as plait sends them."""

    def __init__(self) -> None:
        self.last_id = 0
        self._kind = ""
        self._data: list[str] = []

    def push(self, line: str) -> Iterator[Event]:
        """The event that this line completes, if it does."""
        if not line:
            if self._data:
                yield Event(self.last_id, self._kind or "message", _parsed("\n".join(self._data)))
            self._kind, self._data = "", []
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id" and value.isdigit():
            self.last_id = int(value)
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)


def _parsed(data: str) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ServerFailed("an event of the stream is no JSON object")
    return value
