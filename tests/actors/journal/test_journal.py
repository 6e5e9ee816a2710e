"""What a journal takes in, beside the log itself: whose appends count, and which requests are refused when frames are void.

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
