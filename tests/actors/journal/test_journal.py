"""What a journal takes in, beside the log itself: which appends count, and which requests are refused when frames are void.

Whole systems, whose disks fail, are in `test_supervision` and tests/chaos.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from perdure.actors.core.health import Health
from perdure.actors.core.messages import Append, BeginTerm, TermBegun
from perdure.actors.core.threads.answer import Answer
from perdure.actors.journal.journal import Journal
from perdure.actors.journal.log_state import LogState
from perdure.actors.requests.answers import Settle
from perdure.actors.requests.pending import PendingRequests
from perdure.events import vocabulary as ev
from perdure.events.commands import Publish
from perdure.events.errors import StoreUnavailable
from perdure.store import MemoryStore

if TYPE_CHECKING:
    from perdure.actors.core.actor import Actor


class Ground:
    """The parts of a runtime that a journal takes; keeps the messages that it sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.pending = PendingRequests(self.tell)
        self.store = MemoryStore()
        self.store.open()
        tuning = SimpleNamespace(durability="fsync", snapshot_events=1_000)
        self.log = LogState(self.store, cast("Any", tuning))

    def tell(self, name: str, message: Any) -> None:
        self.sent.append((name, message))

    def terminated(self, actor: Actor, cause: BaseException | None) -> None:
        """No actor runs here."""

    def journal(self, generation: int) -> Journal:
        return Journal(self, self.pending, self.log, Health(), generation)


def test_a_term_that_began_before_the_log_was_open_is_over() -> None:
    """Found by seed 27 of the simulation: what was refused as the log opened was on its way to it, and written after all."""
    ground = Ground()
    journal = ground.journal(3)
    request = ground.pending.send("queue", "command", Answer())
    assert [ground.log.next_term("queue") for _ in range(2)] == [1, 2]
    early = [BeginTerm("queue", 2), Append("queue", 2, 0, [ev.Stopped("early")], [], [Settle(ground.pending, request, None)])]
    journal.on_start()
    journal.on_batch(early)
    assert ground.store.last_seq == 0
    journal.on_batch([BeginTerm("queue", 3), Append("queue", 3, 0, [ev.Stopped("late")], [], [])])
    assert ground.store.last_seq == 1
    assert [(sent.term, sent.seq) for _, sent in ground.sent if isinstance(sent, TermBegun)] == [(3, 0)]


def test_a_request_that_is_voided_twice_is_refused_before_any_append_is_taken() -> None:
    ground = Ground()
    answers = [Answer(), Answer()]
    once, twice = (ground.pending.send("queue", "command", answer) for answer in answers)
    once.writes, twice.writes, twice.voided = 1, 2, 1
    ground.log.to_void, ground.log.void_after = [once, twice], 0
    ground.journal(3).on_start()
    assert (once.voided, twice.voided) == (1, 2)
    assert not ground.log.to_void
    assert ground.log.void_after is None
    assert list(ground.pending.outstanding.values()) == [once]
    with pytest.raises(StoreUnavailable, match="could not be synced to the disk, twice"):
        answers[1].wait(0.0)


def test_frame_that_may_stand_is_no_refusal() -> None:
    ground = Ground()
    request = ground.pending.send("queue", "command", Answer())
    request.writes, request.voided = 3, 1
    ground.log.to_void = [request]
    ground.journal(2).on_start()
    assert request.voided == 2
    assert ground.pending.outstanding, "a third frame with it may be there"


class SlowStore(MemoryStore):
    """A store each of whose appends takes ten milliseconds of the clock beside it."""

    now_s = 0.0

    def append(self, body: bytes, count: int, **how: Any) -> None:
        super().append(body, count, **how)
        self.now_s += 0.01


def gathering_ground() -> tuple[Ground, Journal, Any]:
    """Return the ground, a journal on a slow store, and a function that publishes on a number of threads at once."""
    ground = Ground()
    store = SlowStore()
    store.open()
    ground.log.store = ground.store = store
    journal = Journal(ground, ground.pending, ground.log, Health(lambda: store.now_s), 1)
    journal.on_batch([BeginTerm("queue", 1)])

    def published(count: int) -> list[Append]:
        requests = [ground.pending.send("queue", "command", Answer()) for _ in range(count)]
        return [Append("queue", 1, 0, [ev.Stopped("x")], [], [Settle(ground.pending, request, None)]) for request in requests]

    return ground, journal, published


def test_requests_that_come_back_after_a_slow_append_share_the_next_frame() -> None:
    ground, journal, published = gathering_ground()
    journal.turn(published(3))
    assert ground.store.last_seq == 3
    journal.turn(published(1))
    assert ground.store.last_seq == 3, "the two others that were answered are on their way"
    assert 0 < (journal.patience_s() or 0) < 0.01
    journal.turn(published(2))
    assert ground.store.last_seq == 6
    assert not ground.pending.outstanding
    assert len([*ground.store.frames()]) == 2


def test_a_frame_that_waits_for_more_is_written_when_none_come_before_a_new_term_and_at_a_stop() -> None:
    ground, journal, published = gathering_ground()
    journal.turn(published(3))
    journal.turn(published(1))
    journal.turn([])  # the wait is over
    assert (ground.store.last_seq, journal.patience_s()) == (4, journal.__class__.idle_after_s)
    journal.turn(published(3))
    journal.turn(published(1))
    journal.turn([BeginTerm("queue", 2)])
    assert [sent.seq for _, sent in ground.sent if isinstance(sent, TermBegun)] == [0, 8]
    ground, journal, published = gathering_ground()
    journal.turn(published(3))
    journal.turn(published(1))
    journal.on_stop()
    assert (ground.store.last_seq, len(ground.pending.outstanding)) == (4, 0)


def test_what_no_request_waits_for_shares_the_frame_of_the_publisher_that_was_answered_last() -> None:
    ground, journal, published = gathering_ground()

    def bookkeeping() -> list[Append]:
        return [Append("queue", 1, 0, [ev.Stopped("x")], [], [])]

    journal.turn(published(1))
    journal.turn(bookkeeping())
    assert ground.store.last_seq == 2, "it is not known yet how long the store takes for it"
    journal.turn(published(1))
    journal.turn(bookkeeping())
    assert ground.store.last_seq == 3
    journal.turn(published(1))
    assert (ground.store.last_seq, len([*ground.store.frames()])) == (5, 4)
    journal.turn(bookkeeping())
    journal.turn([])  # the publisher has not come back
    assert ground.store.last_seq == 6
    journal.turn(bookkeeping())
    assert ground.store.last_seq == 7, "and is not waited for again"


def test_only_publishes_that_came_meanwhile_are_expected_beside_those_that_are_answered() -> None:
    ground, journal, published = gathering_ground()
    meanwhile = ground.pending.send("queue", Publish([]), Answer())
    journal.turn(published(1))
    journal.turn(published(1))
    assert ground.store.last_seq == 1, "the publish that came during the append is on its way here"
    journal.turn([])
    ground.pending.forget(meanwhile)
    ground.pending.send("queue", "something else", Answer())
    journal.turn(published(1))
    journal.turn(published(1))
    assert ground.store.last_seq == 4


def test_a_large_frame_waits_for_no_others() -> None:
    ground, journal, published = gathering_ground()
    journal.turn(published(3))
    [large] = published(1)
    large.events *= 101
    journal.turn([large])
    assert ground.store.last_seq == 3 + 101
