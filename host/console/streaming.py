"""Server-sent events: an open page hears that the log has grown, and fetches itself anew. A few bytes a second for each page.

Not here: what the page then shows (`pages`), and how often it does so (`static/live.js`).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, StreamingResponse

from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from perdure.console.console import Console

__all__ = ["stream"]

EVERY_S = 1.0
ALIVE_S = 15.0
STREAMS_MAX = 50
_open = {"streams": 0}


def stream(console: Console, request: Request) -> Response:
    """Return an answer that goes on until the browser closes it."""
    if _open["streams"] >= STREAMS_MAX:
        return PlainTextResponse("too many pages are open; this one does not move by itself\n", 503)
    return StreamingResponse(_told(console, request), media_type="text/event-stream")


async def _told(console: Console, request: Request) -> AsyncIterator[str]:
    _open["streams"] += 1
    last, silent_s = -1, 0.0
    try:
        yield "retry: 3000\n\n"
        while not await request.is_disconnected():
            seq, line = await run_in_threadpool(_line, console)
            if seq != last:
                last, silent_s = seq, 0.0
                yield f"event: grown\ndata: {line}\n\n"
            elif silent_s >= ALIVE_S:
                silent_s = 0.0
                yield ": nothing new\n\n"
            await asyncio.sleep(EVERY_S)
            silent_s += EVERY_S
    finally:
        _open["streams"] -= 1


def _line(console: Console) -> tuple[int, str]:
    """Return the last event, and what the page is told of it; -1 where nothing can be read yet."""
    try:
        return _now(console)
    except (PerdureError, OSError):
        return -1, "{}"


def _now(console: Console) -> tuple[int, str]:
    with console.live.looked_at(0.0) as states:
        told = {"seq": states.seq, "waiting": states.queue.live, "dead": len(states.dead_letters.letters)}
    return told["seq"], json.dumps(told)
