"""How a decider begins a term: it folds the log once, whatever comes twice, and loses nothing that came before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from perdure.actors.core.messages import TermBegun
from perdure.actors.core.threads.answer import Answer
from perdure.actors.journal.decider import Decider
from perdure.actors.requests.pending import PendingRequests
from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import States


class Counting(Decider):
    """Keeps what it is given."""

    def term_begun(self, states: States, seq: int) -> None:
        self.begun = [*getattr(self, "begun", []), seq]

    def handle(self, messages: list[Any]) -> None:
        self.handled = [*getattr(self, "handled", []), *messages]


def decider() -> Counting:
    directory = SimpleNamespace(tell=lambda _name, _message: None)
    pending = PendingRequests(lambda _name, _request: None)
    log = SimpleNamespace(
        next_term=lambda _name: 1,
        take_start_states=lambda _name: None,
        fold=lambda seq, _names: (States(seq=seq), seq),
    )
    actor = Counting(cast("Any", directory), pending, cast("Any", log), "counting", 1)
    actor.begin()
    return actor


def test_an_answer_of_the_journal_that_comes_twice_begins_one_term() -> None:
    """Found by swarm seed 103843 of the simulation: what was reconciled with the log was on record twice."""
    actor = decider()
    actor.on_batch(["before"])
    actor.on_batch([TermBegun(1, 7), "between", TermBegun(1, 7)])
    actor.on_batch(["after", TermBegun(1, 7)])
    assert actor.begun == [7]
    assert [message for message in actor.handled if isinstance(message, str)] == ["before", "between", "after"]


def test_answer_to_an_earlier_term_is_none() -> None:
    actor = decider()
    actor.on_batch([TermBegun(0, 5)])
    assert not actor.ready


def test_a_term_takes_up_unanswered_requests_in_the_order_in_which_they_were_made() -> None:
    """A request that its predecessor received comes before those that it receives itself, and each once."""
    actor = decider()
    pending = actor.pending
    first = pending.send("counting", "command 0", Answer())
    actor.begin()  # as a successor's does, once it is entered
    second, answered = (pending.send("counting", f"command {n}", Answer()) for n in (1, 2))
    other = pending.send("another", "command", Answer())
    pending.settle(answered, None)
    actor.on_batch([second, "event", answered])
    actor.on_batch([TermBegun(1, 7)])
    assert actor.handled == ["event", first, second]
    assert (first.times, second.times, other.times) == (2, 2, 1)


def test_requests_still_in_the_mailbox_wait_their_turn() -> None:
    """A notice of what was committed before the request was made may lie ahead of it."""
    actor = decider()
    early = actor.pending.send("counting", "made before it had read the log", Answer())
    late = actor.pending.send("counting", "made meanwhile", Answer())
    actor.on_batch([early, TermBegun(1, 7)])
    assert actor.handled == [early]
    actor.on_batch(["a notice", late])
    assert actor.handled == [early, "a notice", late]


def test_an_append_that_waits_for_the_journal_takes_in_no_row_of_the_next_one() -> None:
    """They once shared the list while it was empty: rows were removed with the wrong frame, and what they held was lost."""
    actor = decider()
    told: list[Any] = []
    actor.directory = cast("Any", SimpleNamespace(tell=lambda _name, message: told.append(message)))
    for row in (None, 1, 2):
        actor.events.append(ev.Paused(""))
        actor.taken += [] if row is None else [row]
        actor.commit(0)
    assert [[*append.taken] for append in told] == [[], [1], [2]]
