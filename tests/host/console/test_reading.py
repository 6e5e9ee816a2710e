"""A page that needs a long log answers at once, says how far that is read, and comes when it is; for past moments too."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import attrs
import pytest
from starlette.testclient import TestClient

import perdure
from perdure.console.app import application
from perdure.console.console import Console
from perdure.console.log import past as past_module
from perdure.console.log.pace import StillReading
from perdure.events.errors import HistoryDropped
from perdure.security import Rights
from perdure.store import FolderReader
from tests.host.console.conftest import PATIENCE_S, Order, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perdure.store import Frame

READ, COMING = 200, 202


class SlowReader(FolderReader):
    """A reader of a log so long that the test says when each frame has come."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.may_read = threading.Event()
        self.stop_at = 0
        self.fails: Exception | None = None
        self.begun = 0

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        self.begun += 1
        for frame in super().frames(after, until):
            if self.fails is not None:
                raise self.fails
            if frame.last_seq > self.stop_at and not self.may_read.wait(PATIENCE_S):
                pytest.fail("the test never let the log be read on")
            yield frame


@attrs.define
class Long:
    """The console of a folder, and a browser."""

    reader: SlowReader
    console: Console
    browser: TestClient

    def get(self, path: str) -> tuple[int, str]:
        answer = self.browser.get(path)
        return answer.status_code, answer.text


@pytest.fixture
def long(tmp_path: Path) -> Iterator[Long]:
    with perdure.System(tmp_path / "orders") as system:
        for i in range(30):
            system.publish(Order(f"ORD-{i}", 1.0))
    for snapshot in (tmp_path / "orders").glob("*.snap*"):
        snapshot.unlink()  # so that each look has to fold
    reader = SlowReader(tmp_path / "orders")
    console = Console(reader, None, rights=Rights())
    app = application(console, hosts=("127.0.0.1",), principal=lambda _: "ann")
    yield Long(reader, console, TestClient(app, base_url="http://127.0.0.1"))
    reader.may_read.set()
    console.close()


def test_first_page_answers_before_the_log_is_read_and_says_how_far_that_is(long: Long, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long.console.live, "_newest", lambda: 31)
    long.reader.stop_at = 12
    until(lambda: "event 12 of 31, 39 %" in long.get("/")[1])
    for path in ("/messages", "/dead-letters", "/compare?a=1h", "/?at=5"):
        status, html = long.get(path)
        assert status == COMING, path
        assert "data-again" in html
        assert 'aria-current="page"' in html or path.startswith("/compare")  # one can go elsewhere meanwhile
    long.reader.may_read.set()
    until(lambda: long.get("/")[0] == READ)


def test_end_of_a_folder_is_found_for_the_progress(long: Long) -> None:
    long.reader.may_read.set()
    assert long.console._newest() == max(frame.last_seq for frame in long.reader.frames())


def test_page_of_a_past_moment_answers_before_that_is_folded(long: Long) -> None:
    long.reader.may_read.set()
    until(lambda: long.get("/")[0] == READ)
    long.reader.may_read.clear()
    long.reader.stop_at = 10
    until(lambda: "event 10 of 20, 50 %" in long.get("/messages?at=20")[1])
    status, html = long.get("/messages?at=20")
    assert status == COMING
    assert 'data-past="1"' in html  # with the slider where it was let go
    assert re.search(r'<input type="range"[^>]*value="[1-9]', html)
    assert long.get("/")[0] == READ  # the present does not wait for it
    long.reader.may_read.set()
    until(lambda: long.get("/messages?at=20")[0] == READ)


def test_past_that_no_page_waits_for_is_given_up(long: Long, monkeypatch: pytest.MonkeyPatch) -> None:
    long.reader.may_read.set()
    until(lambda: long.get("/")[0] == READ)
    long.reader.may_read.clear()
    assert long.get("/?at=20")[0] == COMING
    monkeypatch.setattr(past_module, "WANTED_S", 0.0)
    long.reader.may_read.set()
    until(lambda: long.console.past._thread is None)
    assert 20 not in long.console.past._folds


def test_past_that_cannot_be_folded_is_told_and_asked_for_again(long: Long) -> None:
    long.reader.may_read.set()
    until(lambda: long.get("/")[0] == READ)
    long.reader.fails = HistoryDropped("history before sequence 25 was dropped")
    told = ""

    def is_told() -> bool:
        nonlocal told
        status, told = long.get("/?at=20")
        return status not in (READ, COMING)

    until(is_told)
    assert "history before sequence 25 was dropped" in told
    long.reader.fails = None
    until(lambda: long.get("/?at=20")[0] == READ)


def test_history_that_was_dropped_meanwhile_is_folded_anew_beside_the_pages(long: Long) -> None:
    long.reader.may_read.set()
    until(lambda: long.get("/")[0] == READ)
    live = long.console.live
    long.reader.fails = HistoryDropped("history was dropped while it was read")
    live.states.seq = 3  # behind, so that there is something to read
    assert live._catch_up(1.0) is True
    long.reader.fails = None
    long.reader.may_read.clear()  # the fold takes long
    status, html = long.get("/")
    assert status == READ
    assert "it is being read anew" in html
    long.reader.may_read.set()
    until(lambda: live.error == "" and live.states.seq > 30)


def test_moment_that_history_is_not_read_up_to_yet_is_waited_for(long: Long) -> None:
    long.reader.may_read.set()
    until(lambda: long.get("/")[0] == READ)
    live = long.console.live
    with live.lock:
        live.index.seq, live.index._places = 0, []
        with pytest.raises(StillReading, match="The history is being read, up to event 0 of"):
            long.console._seq_of("1d")
    until(lambda: long.get("/?at=1d")[0] == READ)
