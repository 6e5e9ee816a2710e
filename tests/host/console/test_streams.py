"""Event streams of open pages: as many as there may be, one look for all, and those that take nothing are dropped with a reason."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from perdure.console import streaming
from perdure.console.streaming import STREAMS_MAX, News, Stream
from tests.host.console.conftest import PATIENCE_S

if TYPE_CHECKING:
    from tests.host.console.conftest import Shop

SCOPE = {"type": "http"}


class Page:
    """A browser's end of one stream."""

    def __init__(self, *, takes: int = 1_000) -> None:
        self.got: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self._takes = takes

    async def receive(self) -> dict[str, Any]:
        await self.closed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if len(self.got) >= self._takes:
            await asyncio.Event().wait()  # as a server does while its buffers are full
        self.got.append(message)

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])


def opened(news: News, page: Page) -> asyncio.Task[None]:
    return asyncio.ensure_future(Stream(news)(SCOPE, page.receive, page.send))


async def come_to(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - many tasks change what is waited for
            await asyncio.sleep(0.01)


def test_a_thousand_streams_are_bounded_and_the_others_are_told_why(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    news, looks = News(shop.console), 0
    look = news.look

    def counted() -> None:
        nonlocal looks
        looks += 1
        look()

    monkeypatch.setattr(news, "look", counted)
    monkeypatch.setattr(streaming, "EVERY_S", 0.2)

    async def scenario() -> None:
        pages = [Page() for _ in range(1_000)]
        tasks = [opened(news, page) for page in pages]
        await come_to(lambda: sum(len(page.got) >= 2 for page in pages) == 1_000)
        told = [page for page in pages if page.status == 200]
        refused = [page for page in pages if page.status == 503]
        assert (len(told), len(refused)) == (STREAMS_MAX, 1_000 - STREAMS_MAX)
        assert b"does not move by itself" in refused[0].got[1]["body"]
        await come_to(lambda: all(any(b"event: grown" in one.get("body", b"") for one in page.got) for page in told))
        for page in pages:
            page.closed.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert news.open == 0
    assert looks < STREAMS_MAX  # shared, not one for each


def test_page_that_takes_nothing_is_dropped_with_a_reason_and_makes_room(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streaming, "SLOW_S", 0.05)
    news = News(shop.console)

    async def scenario() -> None:
        slow = Page(takes=2)  # the head and one piece
        with caplog.at_level(logging.INFO, "perdure"):
            await asyncio.wait_for(opened(news, slow), PATIENCE_S)

    asyncio.run(scenario())
    assert news.open == 0
    assert "has taken nothing" in caplog.text


def test_stream_whose_task_is_cancelled_makes_room(shop: Shop) -> None:
    news = News(shop.console)

    async def scenario() -> None:
        task = opened(news, page := Page())
        await come_to(lambda: len(page.got) >= 2)
        assert news.open == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert news.open == 0
