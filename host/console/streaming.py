"""Server-sent events: an open page hears that the log has grown, and fetches itself anew. A few bytes a second for each page.

All pages of a console share one look a second. A page that takes nothing any more is dropped, and so are those beyond the bound;
each is told why, and works on without moving by itself.

Not here: what the page then shows (`pages`), and how often it does so (`static/live.js`).
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse

from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from perdure.console.console import Console

__all__ = ["STREAMS_MAX", "News", "Stream"]

logger = GuardedLogger("perdure")

EVERY_S = 1.0
ALIVE_S = 15.0
STREAMS_MAX = 256
"""Of one console."""
SLOW_S = 20.0
"""A page that has taken nothing for so long is dropped: what was sent fills the buffers of its connection."""
BUSY = 503
TOO_MANY = f"{STREAMS_MAX} pages of this console are open, which is the most: this one does not move by itself\n"


class News:
    """What open pages are told: one look at the log a second, for all of them. Of several logs, the sum.

    It is the last event's number and no count of messages: the same for all principals, whatever types they may look at.
    """

    def __init__(self, *consoles: Console) -> None:
        self._consoles = consoles
        self._looked_s = -EVERY_S
        self._told: tuple[int, str] = (-1, "{}")
        self.open = 0
        """How many pages are told; only the event loop changes it, and the next."""
        self.is_looking = False

    @property
    def is_old(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._looked_s >= EVERY_S * 0.9

    @property
    def newest(self) -> tuple[int, str]:
        """The last event, and what a page is told of it; -1 where nothing can be read yet."""
        return self._told

    def look(self) -> None:
        """Look. Takes a while: not in the event loop."""
        seq, is_known = 0, False
        for console in self._consoles:
            try:
                with console.live.looked_at(0.0) as states:
                    seq, is_known = seq + states.seq, True
            except (PerdureError, OSError) as error:
                logger.debug("an open page is told nothing of one log: %s", error)
        self._told = (seq, json.dumps({"seq": seq})) if is_known else (-1, "{}")
        self._looked_s = time.monotonic()


class Stream:
    """An answer that goes on until the browser closes it, or takes nothing any more."""

    def __init__(self, news: News) -> None:
        self._news = news

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the page again and again that there is something new; refuse it where too many are open."""
        news = self._news
        if news.open >= STREAMS_MAX:
            await PlainTextResponse(TOO_MANY, BUSY)(scope, receive, send)
            return
        news.open += 1
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await _told(news, send, gone)
        except TimeoutError:
            logger.info("an open page of the console has taken nothing for %g s: it is dropped, and asks anew if it lives", SLOW_S)
        finally:
            gone.cancel()
            news.open -= 1


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _told(news: News, send: Send, gone: asyncio.Future[None]) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await _send(send, "retry: 3000\n\n")
    last, silent_s = -1, 0.0
    while not gone.done():
        if news.is_old and not news.is_looking:
            news.is_looking = True
            try:
                await run_in_threadpool(news.look)
            finally:
                news.is_looking = False
        seq, line = news.newest
        if seq != last:
            last, silent_s = seq, 0.0
            await _send(send, f"event: grown\ndata: {line}\n\n")
        elif silent_s >= ALIVE_S:
            silent_s = 0.0
            await _send(send, ": nothing new\n\n")
        await asyncio.wait([gone], timeout=EVERY_S)
        silent_s += EVERY_S


async def _send(send: Send, text: str) -> None:
    """Send a piece; a server waits here where the page does not take what was sent before.

    Raises:
        TimeoutError: for too long.
    """
    async with asyncio.timeout(SLOW_S):
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
