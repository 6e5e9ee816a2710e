"""What publishers and consumers were told in a night: acknowledged, refused, left in doubt; the checker holds it against the log.

Each word is held against the disk in the moment in which it is given. Who asks for what is in `doings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.oracle.checker import at_rest
from perdure.chaos.oracle.reference_model import demand
from perdure.events.errors import PerdureError, PublishTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.chaos.oracle.recording_store import RecordingStore
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.chaos.simulation.simulated_system import SimulatedSystem

__all__ = ["PublisherLog"]


@attrs.define(eq=False, slots=False, kw_only=True)
class PublisherLog:
    """The part of a night that takes down what was said."""

    acknowledged: set[str] = attrs.field(factory=set)
    """Ids that a publish returned."""
    uncertain: set[str] = attrs.field(factory=set)
    """Ids of publishes that ended in doubt, or with the process."""
    refused: set[str] = attrs.field(factory=set)
    """Ids of publishes that were refused: they must not be there."""
    wanted: set[str] = attrs.field(factory=set)
    """Ids whose result is to be kept."""
    acked: set[tuple[str, int]] = attrs.field(factory=set)
    """(id, attempt) of what manual consumers were told is completed."""
    sent: dict[str, Any] = attrs.field(factory=dict)
    """By id: the messages that were made."""
    options: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    """By id: how they were published."""
    asked: list[str] = attrs.field(factory=list)
    """Ids in the order in which they were asked for, as far as they were known then; all by one thread."""
    unanswered: list[tuple[str, Future[str]]] = attrs.field(factory=list)
    broken: list[str] = attrs.field(factory=list)

    if TYPE_CHECKING:
        system: SimulatedSystem
        executor: SimulatedExecutor
        disk: MemoryDisk

        @property
        def store(self) -> RecordingStore:
            """The store of the process that runs now."""

    def break_contract(self, what: str) -> None:
        """Take note of a broken promise where raising would only fail a handler; the step raises it."""
        self.broken.append(what)

    def new(self, kind: type[Any], how: str, options: dict[str, Any]) -> tuple[Any, str]:
        """Make a message and its id."""
        number = len(self.sent) + 1
        ident = f"m{number}"
        self.sent[ident] = kind(number, how)
        self.options[ident] = options
        if "keep_result" in options:
            self.wanted.add(ident)
        return self.sent[ident], ident

    def publish(self, idents: list[str], call: Callable[[], Any]) -> None:
        """Publish, and write down what was said."""
        self.asked += idents
        self.uncertain.update(idents)  # until it is known: the process may die in the middle
        try:
            answer = call()
        except PublishTimeout as error:
            self.uncertain.update(error.ids)
            if self.system.running and not self.disk.faults and at_rest(self.system):
                self.break_contract(f"{idents} got no answer, though everybody is there and has nothing to do")
            raise
        except PerdureError:
            self.uncertain.difference_update(idents)
            self.refused.update(idents)
            raise
        for ident in answer if isinstance(answer, list) else [answer]:
            self._heard(ident)

    def submit(self, known: str | None, call: Callable[[], Future[str]]) -> None:
        """Publish without waiting, under a `known` id or one of the system's; what is said is written down when it is said."""
        system = self.system
        ident = known or ""
        if known:
            self.asked.append(known)
            self.uncertain.add(known)

        def publisher_log(future: Future[str]) -> None:
            if self.system is not system or self.executor.dead is not None:
                return  # said by a process that is dead
            error = future.exception()
            if error is None:
                self._heard(ident)
            elif not isinstance(error, PublishTimeout):
                self.uncertain.discard(ident)
                self.refused.add(ident)

        try:
            future = call()
            if known is None:
                ident = self._id_to_come()
                self.asked.append(ident)
                self.uncertain.add(ident)
            self.unanswered.append((ident, future))
            future.add_done_callback(publisher_log)
        except PerdureError:
            self.uncertain.discard(ident)
            self.refused.add(ident)
            raise

    def _id_to_come(self) -> str:
        """Give the id of what was just submitted, before anybody has answered."""
        submit_batch = self.system.runtime.pending.submit_batch()
        demand(submit_batch is not None, "what was just submitted travels in no bundle")
        return submit_batch.newest_id  # type: ignore[union-attr]

    def _heard(self, ident: str) -> None:
        if not self.store.is_durable(ident):
            self.break_contract(f"{ident} was acknowledged before it was on the disk")
        self.acknowledged.add(ident)
        self.uncertain.discard(ident)
