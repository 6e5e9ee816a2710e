"""What was spooled is accepted by the queue's rules, or is a dead letter: nothing is left to refuse."""

from __future__ import annotations

import random
from typing import Any

import pytest

from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, DraftRun, Publish, TakeIn
from perdure.events.errors import QueueFull
from perdure.events.limits import Limits
from perdure.events.queue.decisions import decide
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.runs import PublishedRun
from perdure.events.structures.id_index import IdIndex, IdRun
from perdure.events.structures.past_ids import PastIds

NOW = 1_000_000


class Queue:
    """A queue that is nothing but its rules."""

    def __init__(self, **limits: int) -> None:
        self.state = QueueState()
        bounds: Any = {"backlog": 100, **limits}
        self.limits = Limits(**bounds)

    def take(self, command: object) -> list[ev.Event]:
        events = decide(self.state, command, NOW, self.limits)
        evolve_all(self.state, events)
        return events


def draft(ident: str, **fields: Any) -> Draft:
    return Draft(ident, "t", b"x", **fields)


def test_it_is_published_once() -> None:
    queue = Queue()
    assert [event.id for event in queue.take(TakeIn([draft("a"), draft("b")])) if isinstance(event, ev.Published)] == ["a", "b"]
    assert queue.take(TakeIn([draft("a"), draft("b")])) == []
    queue.take(Publish([draft("c")]))
    assert queue.take(TakeIn([draft("c")])) == []


def test_a_held_key_makes_dead_letters_of_all_that_were_published_together() -> None:
    queue = Queue()
    queue.take(Publish([draft("live", key="k", dedup="replace")]))
    events = queue.take(TakeIn([draft("a", key="k", dedup="reject"), draft("b", group="g", due_us=5 * NOW)]))
    letters = [event for event in events if isinstance(event, ev.DeadLettered)]
    assert [(letter.published.id, letter.published.key, letter.exception) for letter in letters] == [
        ("a", "k", "perdure.DuplicateKey"),
        ("b", None, "perdure.DuplicateKey"),
    ]
    assert "live" in letters[0].reason
    assert queue.state.live == 1
    assert len(queue.state.dead) == 2
    assert queue.take(TakeIn([draft("a", key="k", dedup="reject")])) == [], "its id is known"
    assert queue.take(Publish([draft("live2", key="k", dedup="replace")])), "the key is the live message's"


def test_a_full_backlog_is_no_refusal_and_leaves_it_where_it_is() -> None:
    queue = Queue(backlog=1)
    queue.take(TakeIn([draft("a")]))
    with pytest.raises(QueueFull):
        queue.take(TakeIn([draft("b")]))


def test_a_result_that_was_asked_for_says_that_it_was_refused() -> None:
    queue = Queue()
    queue.take(Publish([draft("live", key="k", dedup="replace")]))
    events = queue.take(TakeIn([draft("a", key="k", dedup="reject", extras=ev.Extras(1, 0, 0, 60_000_000))]))
    (kept,) = [event for event in events if isinstance(event, ev.ResultKept)]
    assert (kept.id, kept.exception) == ("a", "perdure.DuplicateKey")


def test_dead_letters_keep_their_bound() -> None:
    queue = Queue(dead_letters=2)
    queue.take(Publish([draft("live", key="k", dedup="replace")]))
    for n in range(5):
        queue.take(TakeIn([draft(f"a{n}", key="k", dedup="reject")]))
    assert len(queue.state.dead) == 2


def run_of(start: int, n: int) -> DraftRun:
    return DraftRun("t", IdRun("00000001-0000-7000-8000-", start, n), [b"x"] * n)


def published(events: list[ev.Event]) -> int:
    return sum(len(event) if isinstance(event, PublishedRun) else isinstance(event, ev.Published) for event in events)


def test_a_run_of_plain_messages_is_published_once_and_overlapping_ones_add_what_is_new() -> None:
    queue = Queue()
    assert published(queue.take(TakeIn(run_of(10, 5)))) == 5
    assert published(queue.take(TakeIn(run_of(10, 5)))) == 0
    assert published(queue.take(TakeIn(run_of(12, 6)))) == 3
    assert published(queue.take(TakeIn(run_of(0, 30)))) == 22
    assert queue.state.live == 30


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_is_taken_for_unknown_holds_no_known_id(seed: int) -> None:
    rng = random.Random(seed)
    index, past = IdIndex(), PastIds(kept_max=40)
    taken: set[int] = set()
    for number in range(1, 40):
        start, n = rng.randrange(300), rng.randrange(1, 12)
        ids = run_of(start, n).ids
        assert isinstance(ids, IdRun)
        if not index.may_hold(ids):
            assert not any(ident in index for ident in ids)
            index.put_all(ids, number * 100) if rng.random() < 0.8 else index.put(ids[0], number * 100)
        if not past.may_hold(ids):
            assert not any(ident in past or past.may_have_been(ident) for ident in ids)
            past.note_ids(ids)
            if not taken.intersection(range(start, start + n)):
                past.add([ids], n)
                taken.update(range(start, start + n))
