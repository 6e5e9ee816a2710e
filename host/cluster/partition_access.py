"""The way to each partition: the System that runs it in this process, or a client of the process that does."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from perdure.cluster.acts.at_once import AT_ONCE, Asking, ask_each
from perdure.cluster.routing import search_order
from perdure.events.commands import LookUp
from perdure.events.errors import NotRunning
from perdure.processes.client import Client
from perdure.publishing.message_state import MessageState
from perdure.store.disk.forked_locks import lock_of
from perdure.store.postgres.traffic.channel_sessions import kept_sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from perdure.cluster.owning.hosted import Hosting
    from perdure.system import System

    Partition: TypeAlias = System | Client

__all__ = ["PartitionAccess", "home_of"]

R = TypeVar("R")

PAUSE_S = 0.01


def home_of(ident: str, partitions: int, look_up: Callable[[int, LookUp], Any], at_once: int = AT_ONCE) -> int:
    """Return the partition that has a message on record; where none has it, the partition that its id leads to.

    The partition of the id is asked first, then the others, several at a time.

    Args:
        ident: the message's id. It does not lead to the partition of a message with a group or key and an id of the host's.
        partitions: how many the queue has.
        look_up: returns the answer of a partition.
        at_once: how many are asked at the same time.

    Raises:
        Whatever `look_up` raises, unless another partition has the message.
    """

    def knows(number: int) -> bool:
        looked = look_up(number, LookUp(ident))
        is_known = looked is not None and MessageState.of(ident, looked).known
        asking.is_over = asking.is_over or is_known
        return is_known

    first, *others = search_order(ident, partitions)
    for numbers in ((first,), others):
        asking = Asking(numbers, knows, at_once=at_once)
        asking.run()
        known = [number for number, is_known in asking.answers.items() if is_known]
        if known:
            return min(known)
        asking.in_order()
    return first


class PartitionAccess:
    """Finds the System or client that answers for a partition now. Its methods may be called in any thread.

    Args:
        hosting: the partitions that run in this process.
        connect: returns a client of a partition.
        patience_s: for how many seconds a call is repeated at the next owner while owners stop.
        check: raises where the cluster takes no calls.
        partitions: how many the queue has.
    """

    def __init__(
        self,
        hosting: Hosting,
        connect: Callable[[int], Client],
        patience_s: float,
        check: Callable[[], None],
        partitions: int,
    ) -> None:
        self._hosting = hosting
        self._connect = connect
        self._patience_s = patience_s
        self._check = check
        self._partitions = partitions
        self._lock = lock_of(self, "_lock")
        self._clients: dict[int, Client] = {}

    def at(self, number: int) -> Partition:
        """Return the System or client that answers for a partition now.

        Raises:
            StoreUnavailable: the partition is another process's, and the database cannot be reached.
        """
        return self._hosting.system(number) or self.client(number)

    def client(self, number: int) -> Client:
        """Return the client of a partition, whatever process owns it."""
        with self._lock:
            client = self._clients.get(number)
            if client is None:
                client = self._clients[number] = self._connect(number)
            return client

    def through(self, number: int, call: Callable[[Partition], R]) -> R:
        """Return the result of a call on a partition; repeat the call if its System has stopped meanwhile.

        So the call must count once, however often it is made.

        Raises:
            NotRunning: the cluster takes no calls, or no owner was found in time.
            Whatever the call raises.
        """
        until_s = time.monotonic() + self._patience_s
        while True:
            self._check()
            partition = self.at(number)
            try:
                return call(partition)
            except NotRunning:
                if isinstance(partition, Client) or time.monotonic() >= until_s:
                    raise
                time.sleep(PAUSE_S)

    def each(self, calls: Mapping[int, Callable[[Partition], R]], *, is_act: bool = False) -> dict[int, R]:
        """Return the results of calls on many partitions, by their numbers, in that order; each as `through`.

        At most `AT_ONCE` are asked at the same time, those of this process first. At most so many connections to owners stay open
        afterwards.

        Raises:
            As `perdure.cluster.acts.at_once.ask_each`.
        """
        order, at_once = self.order_of(calls)
        with kept_sessions():
            found = ask_each(order, lambda number: self.through_and_rest(number, calls[number]), at_once=at_once, is_act=is_act)
        return {number: found[number] for number in calls}

    def order_of(self, numbers: Iterable[int]) -> tuple[list[int], int]:
        """Return partitions in the order in which they are asked, those of this process first, and how many at the same time."""
        mine = {*self._hosting.mine()}
        here, elsewhere = (sorted(number for number in numbers if (number in mine) is is_mine) for is_mine in (True, False))
        return [*here, *elsewhere], max(1, min(AT_ONCE, len(elsewhere)))

    def home_of(self, ident: str) -> int:
        """Return the partition of a message; see `home_of`."""
        _, at_once = self.order_of(range(self._partitions))

        def look_up(number: int, look: LookUp) -> Any:
            return self.through_and_rest(number, lambda partition: partition.ask("queue", look))

        with kept_sessions():
            return home_of(ident, self._partitions, look_up, at_once)

    def through_and_rest(self, number: int, call: Callable[[Partition], R]) -> R:
        """As `through`. With more than `AT_ONCE` partitions, end the connection, so that connections do not add up."""
        try:
            return self.through(number, call)
        finally:
            client = self._clients.get(number)
            if client is not None and self._partitions > AT_ONCE:
                client.rest()

    def close(self, seconds: float) -> None:
        """Close all clients."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            with contextlib.suppress(NotRunning):
                client.close(seconds)
