"""The actors of one run by name: how they are entered, sent messages, and reported dead.

It outlives every actor. Which actor is started again, and when, is in `actors/services/supervisor.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pykka

from perdure.actors.core.foreign_lines import left_out
from perdure.actors.core.messages import Down

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.actor import Actor
    from perdure.actors.core.executor import Executor

__all__ = ["Directory"]


class Directory:
    """Names to living actors. Safe in any thread."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.actors: dict[str, Actor] = {}
        self.on_supervisor_death: Callable[[Actor, BaseException], None] | None = None
        """Called in the thread of a supervisor that died, with the cause."""

    def enter(self, actor: Actor) -> None:
        """Enter an actor under its name, then start it."""
        self.actors[actor.name] = actor
        with left_out():
            pykka.ActorRegistry.register(actor.actor_ref)
        self._executor.start(actor)

    def tell(self, name: str, message: Any) -> None:
        """Put a message into an actor's mailbox. A message to a dead actor vanishes; a request is sent again to its successor."""
        actor = self.actors.get(name)
        if actor is None or actor.actor_stopped.is_set():
            return
        actor.actor_inbox.put(message)  # without Pykka's envelope, which our mailbox does not need

    def tell_all(self, message: Any) -> None:
        """Send a message to every actor but the workers (their mailbox is their pool's)."""
        for name in list(self.actors):
            if not name.startswith("worker:"):
                self.tell(name, message)

    def terminated(self, actor: Actor, cause: BaseException | None) -> None:
        """Report that an actor's thread has ended: to the supervisor, or, if that has died, to `on_supervisor_death`.

        Runs in the actor's thread, in its reaper's, or in both. Two reports are harmless: only the death of the actor that is
        entered counts.
        """
        if actor.name != "supervisor":
            self.tell("supervisor", Down(actor.name, actor, cause))
        elif cause is not None and self.actors.get("supervisor") is actor and self.on_supervisor_death is not None:
            self.on_supervisor_death(actor, cause)
