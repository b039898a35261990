# SPDX-License-Identifier: Apache-2.0
"""Programs of strands on a plait server.

    from plait import Client

    with Client("http://127.0.0.1:7524") as client, client.strand("Two names for a cat:") as root:
        children = root.fork(2)
        names = [child.gen("name", max_tokens=6, stop="\\n") for child in children]   # both run at the same time
        root.join(separator=" and")
        print(names[0].get().text, root.state().ledger.critical_path_tokens)

Calls return at once; a `Value` blocks where it is read, and an error surfaces there.
"""
from ._async import AsyncClient, AsyncStrand, AsyncValue
from ._errors import (Cancelled, ConnectionFailed, InvalidRequest, NotAuthorized, NotFound, Overloaded, PlaitError,
                      ServerFailed)
from ._sync import Client, Strand, Value
from ._types import (Appended, Capture, Event, Joined, JoinedChild, Ledger, Logprobs, ScoredOption, Selection,
                     StrandState, Thought, ThoughtEvent, ThoughtPath)

__all__ = [
    "Appended", "AsyncClient", "AsyncStrand", "AsyncValue", "Cancelled", "Capture", "Client", "ConnectionFailed",
    "Event", "InvalidRequest", "Joined", "JoinedChild", "Ledger", "Logprobs", "NotAuthorized", "NotFound",
    "Overloaded", "PlaitError", "ScoredOption", "Selection", "ServerFailed", "Strand", "StrandState", "Thought",
    "ThoughtEvent", "ThoughtPath", "Value",
]
__version__ = "0.1.0"
