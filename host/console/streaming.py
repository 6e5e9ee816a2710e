"""Server-sent events: an open page is notified that the log has grown, and reloads itself. A few bytes a second for each page.

All pages of a console share one read of the log a second. A page that no longer reads its stream is dropped. A page beyond the
limit is refused with the reason; it works, but does not reload itself.

Not here: what the page then shows (`pages`), and how often it reloads (`static/live.js`).
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
"""The most open pages of one console."""
SLOW_S = 20.0
"""A page that has read nothing for so many seconds is dropped: the buffers of its connection are full."""
BUSY = 503
TOO_MANY = f"{STREAMS_MAX} pages of this console are open, which is the most: this one does not move by itself\n"


class News:
    """The news for open pages: the number of the last event, read once a second for all of them. Of several logs, the sum.

    It is no count of messages, so that all principals may see it, whatever types they may look at.
    """

    def __init__(self, *consoles: Console) -> None:
        self._consoles = consoles
        self._looked_s = -EVERY_S
        self._newest: tuple[int, str] = (-1, "{}")
        self.open = 0
        """How many pages are open. Only the event loop changes this and `is_looking`."""
        self.is_looking = False

    @property
    def is_old(self) -> bool:
        """Whether it is time to read the log again."""
        return time.monotonic() - self._looked_s >= EVERY_S * 0.9

    @property
    def newest(self) -> tuple[int, str]:
        """The number of the last event, and the JSON that a page is sent; -1 where nothing can be read yet."""
        return self._newest

    def look(self) -> None:
        """Read the number of the last event. It blocks: call it outside of the event loop."""
        seq, is_known = 0, False
        for console in self._consoles:
            try:
                with console.live.looked_at(0.0) as states:
                    seq, is_known = seq + states.seq, True
            except (PerdureError, OSError) as error:
                logger.debug("an open page gets no news of one log: %s", error)
        self._newest = (seq, json.dumps({"seq": seq})) if is_known else (-1, "{}")
        self._looked_s = time.monotonic()


class Stream:
    """A response that goes on until the browser closes it or no longer reads it."""

    def __init__(self, news: News) -> None:
        self._news = news

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send an event whenever the log has grown; refuse the page where too many are open."""
        news = self._news
        if news.open >= STREAMS_MAX:
            await PlainTextResponse(TOO_MANY, BUSY)(scope, receive, send)
            return
        news.open += 1
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await _send_news(news, send, gone)
        except TimeoutError:
            logger.info("an open page of the console has taken nothing for %g s: it is dropped, and asks anew if it lives", SLOW_S)
        finally:
            gone.cancel()
            news.open -= 1


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_news(news: News, send: Send, gone: asyncio.Future[None]) -> None:
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
    """Send a part of the response. A server waits here until the page has read what was sent before.

    Raises:
        TimeoutError: the page has not read it after `SLOW_S` seconds.
    """
    async with asyncio.timeout(SLOW_S):
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
