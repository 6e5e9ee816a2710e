"""What was spooled is accepted by the queue's rules, or is a dead letter: nothing is left to refuse."""

from __future__ import annotations

import pytest

from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, Publish, TakeIn
from perdure.events.errors import QueueFull
from perdure.events.limits import Limits
from perdure.events.queue.decisions import decide
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState

NOW = 1_000_000


class Queue:
    """A queue that is nothing but its rules."""

    def __init__(self, **limits: int) -> None:
        self.state = QueueState()
        self.limits = Limits(**{"backlog": 100, **limits})  # type: ignore[arg-type]

    def take(self, command: object) -> list[ev.Event]:
        events = decide(self.state, command, NOW, self.limits)
        evolve_all(self.state, events)
        return events


def draft(ident: str, **fields: object) -> Draft:
    return Draft(ident, "t", b"x", **fields)  # type: ignore[arg-type]


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
