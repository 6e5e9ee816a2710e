"""Requests that wait for results, of which most are given up: what is kept of them follows how many still wait."""

from __future__ import annotations

from perdure.actors.core.threads.answer import Answer
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.result_waiters import ResultWaiters
from perdure.events.commands import AwaitResult
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.vocabulary import Extras, Published


def waiting(*idents: str) -> QueueState:
    """Return the state of a queue in which messages wait whose results are kept."""
    state = QueueState()
    evolve_all(state, [Published(n, ident, "Order", b"", extras=Extras(result_us=1)) for n, ident in enumerate(idents, 1)])
    return state


def kept(waiters: ResultWaiters) -> int:
    return sum(map(len, waiters.waiting.values()))


def test_what_waits_no_longer_is_forgotten_also_beside_requests_that_do() -> None:
    state = waiting("a", "b")
    pending = PendingRequests(lambda target, request: None)
    waiters = ResultWaiters(pending)
    for n in range(1000):
        command = AwaitResult("b" if n % 100 == 0 else "a")
        request = pending.send("queue", command, Answer())
        assert waiters.ask(state, request, command) == []
        if command.id == "a":
            pending.forget(request)
        assert waiters.answers([]) == []
        assert kept(waiters) <= 2 * len(pending.outstanding)
    assert len(waiters.waiting["b"]) == len(pending.outstanding) == 10


def test_nothing_is_kept_once_none_waits() -> None:
    state = waiting("a")
    pending = PendingRequests(lambda target, request: None)
    waiters = ResultWaiters(pending)
    command = AwaitResult("a")
    requests = [pending.send("queue", command, Answer()) for _ in range(63)]
    for request in requests:
        waiters.ask(state, request, command)
    for request in requests:
        pending.forget(request)
    waiters.answers([])
    assert waiters.waiting == {}
