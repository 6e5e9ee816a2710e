"""An actor that the simulated executor runs: whether it has something to do, what its turn takes in, and how it waits."""

from __future__ import annotations

import math
from queue import Empty
from typing import TYPE_CHECKING, Any, NoReturn

from perdure.actors.core.actor import Actor
from perdure.actors.workers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.chaos.simulation.turns.fiber import Fiber

__all__ = ["Scheduled", "items_of", "wait_in_virtual_time"]


class Scheduled:
    """One actor and the state of its turns."""

    __slots__ = (
        "actor",
        "begun",
        "busy",
        "fiber",
        "goes_on",
        "is_asked",
        "is_empty",
        "process",
        "until_us",
        "waits_from_s",
        "waits_until_s",
    )

    def __init__(self, actor: Actor, process: object) -> None:
        self.actor = actor
        self.is_asked = type(actor).patience_s not in (Actor.patience_s, Worker.patience_s)
        """How long it waits may change without a turn of its own, so it is asked each time."""
        self.waits_until_s = math.inf
        """When its wait for a message times out, as of its last turn; for actors that are not asked before each turn."""
        self.process = process
        """None: the one that owns the folder."""
        self.is_empty: Callable[[], bool] = actor.actor_inbox.empty
        self.begun = False
        self.busy = False
        """It is in the middle of a turn that waits, while other actors take theirs."""
        self.waits_from_s = 0.0
        self.fiber: Fiber[bool] | None = None
        """A turn that has stopped in the middle, in another process than the owner's: that one may end meanwhile."""
        self.goes_on: Callable[[], bool] = bool
        """What that turn waits for."""
        self.until_us = math.inf
        """How long it waits at most."""

    def end_of_wait_s(self) -> float:
        """Return when its wait for a message times out, so that it takes a turn without one."""
        patience_s = self.actor.patience_s()
        return math.inf if patience_s is None else self.waits_from_s + patience_s

    def wait_from(self, now_s: float) -> None:
        """Let it wait after a turn."""
        self.waits_from_s = now_s
        self.waits_until_s = math.inf if self.is_asked else self.end_of_wait_s()


def items_of(actor: Actor) -> list[Any]:
    """Return what an actor's turn takes in: all of its mailbox; of workers, which share theirs, one item each."""
    inbox: Any = actor.actor_inbox
    if not isinstance(actor, Worker):
        return inbox.drain(0) if not inbox.empty() else []
    try:
        return [inbox.get(block=False)]
    except Empty:
        return []


def _nothing_more() -> NoReturn:
    raise Empty


def wait_in_virtual_time(worker: Worker, run_until: Callable[[Callable[[], bool], float], None]) -> None:
    """Let a worker that waits in the middle of its turn, to fill a batch, wait in virtual time."""
    inbox: Any = worker.actor_inbox

    def within(timeout_s: float) -> Any:
        run_until(lambda: not inbox.empty(), timeout_s)
        return inbox.get_nowait()

    inbox.within = within
    worker.take_next = _nothing_more  # one item a turn, as the mailbox is shared with other workers
