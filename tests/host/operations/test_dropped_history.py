"""A query for dropped history is an error, never a partial answer: events, timelines and states."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.store import FolderReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEGAN_US = 1_700_000_000_000_000


@pytest.fixture
def audit(folder: Path) -> perdure.Audit:
    """A log whose beginning was dropped: one message per second, some handled long after their publication."""
    clock = perdure.ManualClock(BEGAN_US)
    options = perdure.Options(segment_bytes=4096, history="drop")
    with perdure.System(folder, options=options, clock=clock) as system:
        for n in range(120):
            system.publish({"text": f"{n} " * 20}, id=f"id-{n}")
            clock.advance(1.0)
            if n % 20 == 19:
                system.admin.snapshot()
        delivery = system.checkout(dict)
        assert delivery is not None
        assert delivery.id == "id-0"
        delivery.ack()
        system.publish({"text": "by id-1"}, id="caused", correlation_id="x")
    found = perdure.Audit(folder)
    assert found.first_seq > 1
    return found


def test_what_lies_before_what_is_kept(audit: perdure.Audit) -> None:
    first = next(audit.events())
    assert first.seq == audit.first_seq
    before = first.at - dt.timedelta(seconds=1)
    refused: list[Callable[[], object]] = [
        lambda: list(audit.events(until=5)),
        lambda: list(audit.events(until=first.seq - 1)),
        lambda: list(audit.events(since=1, until=5)),
        lambda: list(audit.events(since=before)),
        lambda: list(audit.events(until=before)),
        lambda: list(audit.events(since=before.timestamp())),
        lambda: list(audit.events(message_id="id-0")),
        lambda: list(audit.events(message_id="id-3")),
        lambda: list(audit.events(message_id="nobody")),
        lambda: audit.timeline("id-0"),
        lambda: audit.timeline("id-3"),
        lambda: audit.timeline("nobody"),
        lambda: audit.state_at(5),
        lambda: audit.state_at(before),
        lambda: audit.state_at(before.timestamp()),
    ]
    for ask in refused:
        with pytest.raises(perdure.HistoryDropped, match="dropped or archived"):
            ask()


def test_kept_history_is_returned(audit: perdure.Audit) -> None:
    first = next(audit.events())
    every = list(audit.events())
    assert list(audit.events(since=first.seq)) == every
    assert list(audit.events(since=first.at)) == every
    assert list(audit.events(until=every[-1].at)) == every
    assert [record.seq for record in audit.events(until=first.seq)] == [first.seq]
    assert audit.timeline("id-119")[0].name == "Published"
    assert [record.name for record in audit.events(message_id="id-119")] == ["Published"]
    assert list(audit.events(message_id="id-119", since=every[-1].seq)) == []
    assert audit.state_at(every[-1].at).ready == 120


def test_a_whole_log_answers_nothing_for_what_was_never_there(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish({"n": 1}, id="one")
    audit = perdure.Audit(folder)
    assert list(audit.events(message_id="nobody")) == []
    assert list(audit.events(until=1.0)) == []
    with pytest.raises(perdure.UnknownMessage) as caught:
        audit.timeline("nobody")
    assert not isinstance(caught.value, perdure.HistoryDropped)


def test_snapshot_older_than_the_log_answers_for_its_own_moment(audit: perdure.Audit, folder: Path) -> None:
    for seq in FolderReader(folder).snapshot_seqs():
        assert audit.state_at(seq).seq == seq
