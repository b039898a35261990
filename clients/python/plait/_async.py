# SPDX-License-Identifier: Apache-2.0
# tools/sync_client.py makes _sync.py of this file; blocks "async only" and "sync only" are for one of the two.
# async only
"""The client for asyncio. Calls are noted by the server when they are awaited, values wait for theirs."""
# end
# sync only
# """The client that blocks: where a value is read, and elsewhere only until the server has noted the request."""
# end
from __future__ import annotations

# async only
import asyncio
# end
import math
import time
# async only
from typing import Any, AsyncIterator, Callable, Generator, Generic, Mapping, Sequence, TypeVar
# end
# sync only
# from typing import Any, Callable, Generic, Iterator, Mapping, Sequence, TypeVar
# end

import httpx

from . import _wire
from ._errors import ConnectionFailed, error_of
from ._types import (Appended, Capture, Event, Joined, StrandState, Thought, ThoughtEvent, appended_of, capture_of,
                     joined_of, state_of)

T = TypeVar("T")


class AsyncValue(Generic[T]):
    """A result that may come later: get() it."""

    def __init__(self, client: AsyncClient, path: str, parse: Callable[[Mapping[str, Any]], T]):
        self._client, self._path, self._parse = client, path, parse
        self._result: T | None = None
        self._error: Exception | None = None

    # async only
    def __await__(self) -> Generator[Any, None, T]:
        """As get() without a timeout."""
        return self.get().__await__()

    # end
    async def get(self, timeout: float | None = None) -> T:
        """The result; blocks until it is there. An error of the operation is raised here, each time. Raises
        TimeoutError after `timeout` seconds, rounded up; the operation goes on then."""
        end = None if timeout is None else time.monotonic() + timeout
        while self._result is None and self._error is None:
            left = _wire.POLL_SECONDS if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no result within {timeout} s")
            await self._poll(min(_wire.POLL_SECONDS, math.ceil(left)))
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    async def ready(self) -> bool:
        """Whether get() would return, or raise, at once."""
        return self._result is not None or self._error is not None or await self._poll(0)

    async def _poll(self, seconds: int) -> bool:
        response = await self._client._send("GET", f"{self._path}?timeout={seconds}")
        if response.status_code == 202:
            return False
        try:
            self._result = self._parse(_wire.reply(response))
        except Exception as error:
            self._error = error
        return True


class AsyncStrand:
    """A text on the server that grows, forks and joins. As a context it is deleted at the end, and all below it."""

    def __init__(self, client: AsyncClient, id: str, root: str, parent: str | None):
        self.id, self.root, self.parent = id, root, parent
        self._client = client
        self._values: dict[str, AsyncValue[Capture]] = {}

    async def __aenter__(self) -> AsyncStrand:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.delete()

    def __repr__(self) -> str:
        return f"AsyncStrand({self.id!r})"

    # async only
    def __getitem__(self, name: str) -> AsyncValue[Capture]:
        """The last gen() or select() of this name."""
        return self._values[name]
    # end
    # sync only
    # def __getitem__(self, name: str) -> str:
    #     """The text of the last gen() or select() of this name; blocks until it is there."""
    #     return self._values[name].get().text
    # end

    async def append(self, text: str | None = None, *, messages: _wire.Messages | str | None = None,
                     token_ids: Sequence[int] | None = None) -> AsyncValue[Appended]:
        """Adds a text, turns of a chat (a string is a user's turn), or tokens."""
        return await self._ask("append", _wire.content(text, messages, token_ids), appended_of)

    async def gen(self, name: str = "", *, max_tokens: int | None = None, stop: _wire.Stop | None = None,
                  temperature: float | None = None, seed: int | None = None, regex: str | None = None,
                  grammar: str | None = None, json_schema: Mapping[str, Any] | None = None,
                  logprobs: int | None = None, **options: Any) -> AsyncValue[Capture]:
        """Generates at the end of the strand. `options`: the other fields of /v1/completions (`top_p`, `top_k`,
        `min_p`, `logit_bias`, `ignore_eos`, …), `return_token_ids` and `stop_include`."""
        options |= {"max_tokens": max_tokens, "stop": stop, "temperature": temperature, "seed": seed, "regex": regex,
                    "grammar": grammar, "json_schema": json_schema, "logprobs": logprobs}
        self._values[name] = await self._ask("gen", _wire.gen(name, options), capture_of)
        return self._values[name]

    async def stream(self, name: str = "", **options: Any) -> AsyncIterator[str]:
        """gen() with its text as it comes. Whole UTF-8, never a part of a stop string."""
        body = _wire.gen(name, options) | {"stream": True}
        async for event in self._client._events("POST", self._path("gen"), body):
            if event.kind == "text":
                yield event.data["text"]
            elif event.kind == "error":
                raise error_of(0, event.data)

    async def select(self, name: str, options: Sequence[str], *, rule: str = "mean") -> AsyncValue[Capture]:
        """Appends the most likely option. `rule`: "mean" log-probability of its tokens, their "sum", or
        "unconditional": the sum less what it is at the beginning of a text."""
        body = {"name": name, "options": list(options), "rule": rule}
        self._values[name] = await self._ask("select", body, capture_of)
        return self._values[name]

    async def fork(self, n: int = 1) -> list[AsyncStrand]:
        """Children that go on from here at the same time."""
        reply = await self._client._json("POST", self._path("fork"), {"n": n})
        return [AsyncStrand(self._client, child["id"], child["root"], child["parent"]) for child in reply["data"]]

    async def join(self, children: Sequence[AsyncStrand] | None = None, *, how: str = "text",
                   capture: str | None = None, separator: str | None = None,
                   skip_failed: bool = False) -> AsyncValue[Joined]:
        """Waits for the children and takes over what they have written: their "text" in their order, only their
        "variables", or their "spans" without computing anything again."""
        ids = [child.id for child in children] if children is not None else None
        return await self._ask("join", _wire.join(ids, how, capture, separator, skip_failed), joined_of)

    async def cancel(self) -> int:
        """Ends what runs and drops what waits, here and below. Returns how many operations that were."""
        return int((await self._client._json("POST", self._path("cancel")))["cancelled"])

    async def delete(self) -> None:
        """Forgets the strand and all below it. One that is gone already is no error."""
        response = await self._client._send("DELETE", self._path())
        if response.status_code != 404:
            _wire.reply(response)

    async def state(self, *, text: bool = False) -> StrandState:
        return state_of(await self._client._json("GET", self._path() + ("?text=true" if text else "")))

    # sync only
    # @property
    # end
    async def text(self) -> str:
        """All of it, as it is now."""
        return (await self.state(text=True)).text or ""

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """What happens in the whole tree from event `after` on, until the tree is deleted. A connection that breaks is
        made again, and goes on where it was."""
        while True:
            try:
                async for event in self._client._events("GET", self._path("events"), None, after):
                    after = max(after, event.id)
                    yield event
                return
            except ConnectionFailed:
                await asyncio.sleep(0.2)
                await self.state()  # raises if there is nothing to go on with

    def _path(self, *parts: str) -> str:
        return "/".join((_wire.STRANDS, self.id, *parts))

    async def _ask(self, verb: str, body: dict[str, Any], parse: Callable[[Mapping[str, Any]], T]) -> AsyncValue[T]:
        asked = await self._client._json("POST", self._path(verb), body | {"wait": False})
        return AsyncValue(self._client, self._path("operations", str(asked["operation"])), parse)


class AsyncClient:
    # async only
    """A server. For one event loop; close it, or use it with `async with`."""
    # end
    # sync only
    # """A server. Any thread; close it, or use it with `with`."""
    # end

    def __init__(self, base_url: str | None = None, *, api_key: str | None = None, timeout: float = 60,
                 http: httpx.AsyncClient | None = None):
        """`base_url`: else what PLAIT_URL says, else a server on this machine. `timeout`: seconds without a byte of an
        answer that is due. `http`: a client of your own; it stays open."""
        self._owned = http is None
        self._http = http or httpx.AsyncClient(base_url=_wire.url(base_url), headers=_wire.headers(api_key),
                                               timeout=timeout)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._owned:
            await self._http.aclose()

    async def strand(self, text: str | None = None, *, messages: _wire.Messages | str | None = None,
                     token_ids: Sequence[int] | None = None, seed: int | None = None, heal: bool = True,
                     model: str | None = None, user: str | None = None, cache_salt: str | None = None,
                     priority: int | None = None) -> AsyncStrand:
        """A new strand. `seed`: its generations and those of all its forks follow from it. `heal`: a generation may
        choose the last token of the text before it again."""
        body = _wire.create(text, messages, token_ids, seed, heal, model, user, cache_salt, priority)
        made = await self._json("POST", _wire.STRANDS, body)
        return AsyncStrand(self, made["id"], made["root"], made["parent"])

    async def think(self, question: _wire.Messages | str, strategy: str = "best-of", *,
                    options: Mapping[str, Any] | None = None, max_tokens: int | None = None,
                    temperature: float | None = None, seed: int | None = None, model: str | None = None,
                    user: str | None = None, on_event: Callable[[ThoughtEvent], Any] | None = None) -> Thought:
        """A question that a strategy of strands works on. `options`: the strategy's own, and `call_tokens`, `seconds`;
        `max_tokens`: of all strands together. `on_event` hears what the strands do as they do it."""
        body = _wire.think(question, strategy, options, max_tokens, temperature, seed, model, user)
        reader = _wire.ThoughtReader()
        try:
            async with self._http.stream("POST", _wire.CHAT, json=body,
                                         timeout=_wire.stream_timeout(self._http.timeout)) as response:
                if response.status_code != 200:
                    await response.aread()
                    _wire.reply(response)
                async for line in response.aiter_lines():
                    event = reader.push(line)
                    if event is not None and on_event is not None:
                        on_event(event)
        except httpx.TransportError as error:
            raise ConnectionFailed(f"POST {_wire.CHAT}: {error or type(error).__name__}") from error
        return reader.thought()

    async def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            return await self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{method} {path}: {error or type(error).__name__}") from error

    async def _json(self, method: str, path: str, body: Any = None) -> Any:
        return _wire.reply(await self._send(method, path, body))

    async def _events(self, method: str, path: str, body: Any, after: int = 0) -> AsyncIterator[Event]:
        reader = _wire.EventReader()
        more = {"last-event-id": str(after)} if after else {}
        try:
            async with self._http.stream(method, path, json=body, headers=more,
                                         timeout=_wire.stream_timeout(self._http.timeout)) as response:
                if response.status_code != 200:
                    await response.aread()
                    _wire.reply(response)
                async for line in response.aiter_lines():
                    for event in reader.push(line):
                        yield event
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{method} {path}: {error or type(error).__name__}") from error
