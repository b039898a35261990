# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, as exceptions that carry the server's own words."""
from __future__ import annotations

from typing import Any, Mapping


class PlaitError(Exception):
    """Anything that the server refused or failed at."""

    def __init__(self, message: str, *, status: int = 0, type: str | None = None, param: str | None = None,
                 code: str | None = None, retry_after: float | None = None):
        super().__init__(message)
        self.message = message
        self.status = status  # as in HTTP; 0: there was no answer
        self.type = type
        self.param = param  # the field that is wrong
        self.code = code
        self.retry_after = retry_after  # seconds


class InvalidRequest(PlaitError):
    """400, 413 or 422: the request is wrong; `param` says where."""


class NotAuthorized(PlaitError):
    """401 or 403."""


class NotFound(PlaitError):
    """404: no such strand, or it is somebody else's, or it was closed."""


class Cancelled(PlaitError):
    """409: the operation was cancelled before it began."""


class Overloaded(PlaitError):
    """429 or 503: later may do, after `retry_after` seconds."""


class ServerFailed(PlaitError):
    """5xx, or an answer that is none of plait's."""


class ConnectionFailed(PlaitError):
    """There was no answer, or not all of it."""


_KINDS: dict[int, type[PlaitError]] = {400: InvalidRequest, 401: NotAuthorized, 403: NotAuthorized, 404: NotFound,
                                       408: Overloaded, 409: Cancelled, 413: InvalidRequest, 422: InvalidRequest,
                                       429: Overloaded, 503: Overloaded}


_STATUS_OF_TYPE = {"invalid_request_error": 400, "not_found_error": 404}


def error_of(status: int, body: Any, headers: Mapping[str, str] | None = None) -> PlaitError:
    """The exception of a reply that is no success. `status` 0: of an event, which has none. `body`: the JSON, or None
    if it is none."""
    error = body.get("error") if isinstance(body, dict) else None
    if status == 0 and isinstance(error, dict):
        status = _STATUS_OF_TYPE.get(str(error.get("type")), 500)
    if not isinstance(error, dict):
        return ServerFailed(f"the server answered with status {status} and no error of plait's", status=status)
    wait = (headers or {}).get("retry-after", "")
    return _KINDS.get(status, ServerFailed)(str(error.get("message")), status=status, type=error.get("type"),
                                            param=error.get("param"), code=error.get("code"),
                                            retry_after=float(wait) if wait.isdigit() else None)
