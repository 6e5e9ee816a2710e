"""What stands in the owner for the workers that another process has for one type: `MemberPool`.

To the queue and the dispatcher it is a pool as any other. What it is handed goes to the process by its session (`actors/sessions`).
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

from perdure.actors.workers.pools.pool import Pool
from perdure.events.commands import ExpireLease, Fail, Release
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.pools.pool import WorkerDelivery
    from perdure.events.commands import ReassertLease
    from perdure.events.vocabulary import ProcessJoined

__all__ = ["MemberPool", "MemberPort"]

LATE_MAX = 10_000
"""Deliveries that were taken from a process and are remembered, so that their late results are refused on record."""


class MemberPort(Protocol):
    """The way to a member. Safe in any thread; nothing waits."""

    @property
    def process(self) -> ProcessJoined:
        """The process, as it is on record."""

    def is_heard(self, within_s: float) -> bool:
        """Return whether the process gave a sign of life within the last seconds."""

    def fall_silent(self) -> None:
        """Hand nothing to it until it gives a sign of life."""

    def deliver(self, pool: MemberPool, deliveries: list[WorkerDelivery]) -> None:
        """Hand deliveries to its workers."""

    def revoke(self, delivery: WorkerDelivery, *, cancels: bool) -> None:
        """Take a delivery from it; `cancels`: a handler that runs is stopped."""

    def configure(self, type_name: str, parallelism: int, changes: Mapping[str, Any], *, paused: bool) -> None:
        """Send it what an operator set for a handler. `parallelism` below 0: as its own code says."""

    def overdue(self, type_name: str, lease: tuple[int, str, int, int]) -> None:
        """Ask it what becomes of a delivery whose lease has run out: (number, id, attempt, until_us)."""

    def give_back(self, pool: MemberPool, deliveries: list[WorkerDelivery]) -> None:
        """Report deliveries whose process is gone."""


class MemberPool(Pool):
    """The workers of one type in one other process. Its deliveries are `open` as those of any pool."""

    is_elsewhere = True

    def __init__(self, handler: HandlerSpec, port: MemberPort) -> None:
        super().__init__(handler)
        self.port = port
        self.may_be_out = 0
        """How many deliveries the process takes."""
        self.version = 0
        """The newest version of its type that the process knows."""
        self.slots = 0
        """How many of them it can run at a time."""
        self.is_silent = False
        """It gives no sign of life: nothing is handed to it until it does."""
        self.late: dict[int, WorkerDelivery] = {}
        """By number: the plain ones that were taken from it. It may report them by their numbers all the same."""
        self.taken_back: dict[int, tuple[ReassertLease, ExpireLease | Release]] = {}
        """By number: what was taken from it, and how that ended the attempt. If the disk loses that end, it is decided once more:
        the process may still run the attempt, which nothing else may begin."""

    @property
    def worker_count(self) -> int:
        """How many workers the process has for the type: one that handles batches has a slot for each message of a batch."""
        return ceil(self.slots / max(1, self.handler.batch_size))

    @property
    def active_count(self) -> int:
        """How many of them are needed for what the process has; which of it has begun, the process alone knows."""
        return min(self.worker_count, ceil(len(self.open) / max(1, self.handler.batch_size)))

    def deliver(self, deliveries: list[WorkerDelivery]) -> None:
        """See `Pool.deliver`."""
        fresh = [delivery for delivery in deliveries if self.opens(delivery)]
        if fresh:
            self.port.deliver(self, fresh)
        if self.is_gone:  # looked at after they were entered: whichever of the two threads comes second gives them back
            self.port.give_back(self, fresh)

    def count(self, deliveries: list[WorkerDelivery], now_s: float) -> None:
        """Count what the process has reported, for the metrics."""
        self.processed += sum(type(delivery.outcome) is not Release for delivery in deliveries)
        self.failed += sum(type(delivery.outcome) is Fail for delivery in deliveries)
        self.rate.add(len(deliveries), now_s)

    def revoke(self, delivery: WorkerDelivery) -> bool:
        """See `Pool.revoke`. Whether it has begun is known only there, so False."""
        self.take_from(delivery, cancels=False)
        return False

    def take_from(self, delivery: WorkerDelivery, *, cancels: bool) -> None:
        """Take a delivery from the process, which learns it; `cancels`: its handler is stopped."""
        delivery.lost = True
        if isinstance(delivery.lease, LeaseBatch):
            self.late[delivery.number] = delivery
        while len(self.late) > LATE_MAX:
            self.late.pop(next(iter(self.late)), None)
        self.remember(delivery, ExpireLease(*delivery.attempt_ref, "it was taken from its process"))
        self.confirmed([delivery])
        self.port.revoke(delivery, cancels=cancels)

    def remember(self, delivery: WorkerDelivery, end: ExpireLease | Release) -> None:
        """Remember how a delivery ended that is taken from the process."""
        self.taken_back[delivery.number] = (delivery.claim_on_record(), end)
        while len(self.taken_back) > LATE_MAX:
            self.taken_back.pop(next(iter(self.taken_back)), None)

    def end_of(self, delivery: WorkerDelivery, *, begun: bool) -> ExpireLease | Release:
        """Return what becomes of a delivery whose process is gone: an attempt that has begun counts.

        Only the connection may be gone, and the process begin it a moment later: the number of the attempt is spent.
        """
        end: ExpireLease | Release = (
            ExpireLease(*delivery.attempt_ref, "its process died")
            if begun
            else Release(*delivery.attempt_ref, "its process died before it began")
        )
        self.remember(delivery, end)
        return end
