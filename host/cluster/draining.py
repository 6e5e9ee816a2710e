"""`Draining`: the part of a cluster that waits until nothing is left to do, in all partitions, several at a time.

`perdure.handling.consuming` reports what one partition has left; `acts/at_once` asks several at once.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from perdure.actors.core.threads.current_actor import check_is_outside
from perdure.cluster.acts.at_once import Asking
from perdure.events.errors import StoreUnavailable
from perdure.events.seconds import wait_seconds
from perdure.store.postgres.traffic.channel_sessions import kept_sessions

if TYPE_CHECKING:
    from perdure.cluster.partition_access import Partition, PartitionAccess

__all__ = ["Draining"]

RETRY_S = 0.05
DRAIN_S = 1.0
"""How long a `drain` waits for one partition before it checks that it is still to go on."""


class Draining:
    """The part of a cluster that waits until nothing is left to do."""

    count: int
    """Partitions of the queue."""
    _access: PartitionAccess

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no partition has a message that is ready, delayed or in flight, and nothing is left to take in.

        Raises:
            TimeoutError: something was left after `timeout` seconds; as `System.drain`, for the first such partition.
            NotRunning: the cluster was stopped meanwhile.
            WouldDeadlock: a handler calls; its own message is in flight for as long as it waits.
        """
        check_is_outside("drain")
        wait_s = wait_seconds("timeout", timeout)
        until_s = float("inf") if wait_s < 0 else time.monotonic() + wait_s
        why = "there are still publishes to be taken in"
        while True:
            try:
                if self._is_empty(wait_s, until_s):
                    return
            except _NotAsked as error:
                why = f"only {error.number} of {self.count} partitions could be asked"
            except StoreUnavailable as error:  # for example during a failover of the database
                why = f"a partition could not be asked: {error}"
            if time.monotonic() >= until_s:
                raise TimeoutError(f"after {wait_s:g} s {why}")
            time.sleep(RETRY_S)

    def _is_empty(self, wait_s: float, until_s: float) -> bool:
        """Wait for all partitions, several at a time; return whether none got a message after it was found empty.

        A handler of another partition may publish one.
        """
        published = self._published()
        order, at_once = self._access.order_of(range(self.count))

        def drained(number: int) -> None:
            if asking.answers and time.monotonic() >= until_s:
                raise _NotAsked(len(asking.answers))
            while not asking.is_over:  # in short waits, so that an interrupt leaves no thread that waits forever
                left_s = until_s - time.monotonic()
                left = self._access.through_and_rest(number, partial(_left_after, seconds=max(0.0, min(left_s, DRAIN_S))))
                if not left:
                    return
                if left_s <= DRAIN_S:
                    raise TimeoutError(f"after {wait_s:g} s {left}")

        asking = Asking(order, drained, at_once=at_once)
        with kept_sessions():
            asking.run()
        asking.in_order()
        return not self._ingress_waits() and self._published() == published

    def _published(self) -> int:
        """Return how many messages were ever published, in all partitions."""
        each: dict[int, int] = self._access.each(
            dict.fromkeys(range(self.count), lambda partition: partition.admin.metrics().published)
        )
        return sum(each.values())

    def _ingress_waits(self) -> bool:
        raise NotImplementedError

    async def adrain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as `drain`
        """As `drain`, from a coroutine; does not block the event loop.

        Raises:
            As `drain`.
        """
        await asyncio.to_thread(self.drain, timeout)


class _NotAsked(Exception):
    """The time of a `drain` has passed before a partition was asked."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _left_after(partition: Partition, seconds: float) -> str:
    return partition._left_after(seconds)  # noqa: SLF001 - part of the front door
