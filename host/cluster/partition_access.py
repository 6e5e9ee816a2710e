"""The way to each partition: the System that runs it in this process, or a client of whichever process does."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from perdure.cluster.routing import search_order
from perdure.events.commands import LookUp
from perdure.events.errors import NotRunning
from perdure.processes.client import Client
from perdure.publishing.message_state import MessageState
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.cluster.owning.hosted import Hosting
    from perdure.system import System

    Partition: TypeAlias = System | Client

__all__ = ["PartitionAccess", "home_of"]

R = TypeVar("R")

PAUSE_S = 0.01


def home_of(ident: str, partitions: int, look_up: Callable[[int, LookUp], Any]) -> int:
    """Return the partition that knows a message; the one that its id tells where none does.

    Args:
        ident: the message's id. It does not tell the partition of one that has an id of the host's, and a group or key.
        partitions: how many the queue has.
        look_up: returns what a partition answers.
    """
    order = search_order(ident, partitions)
    for number in order:
        looked = look_up(number, LookUp(ident))
        if looked is not None and MessageState.of(ident, looked).known:
            return number
    return order[0]


class PartitionAccess:
    """Finds what answers for a partition at this moment. Safe in any thread.

    Args:
        hosting: what runs in this process.
        connect: returns a client of a partition.
        patience_s: how long a call goes on to the next owner while one after the other stops.
        check: raises where the cluster takes no calls.
    """

    def __init__(self, hosting: Hosting, connect: Callable[[int], Client], patience_s: float, check: Callable[[], None]) -> None:
        self._hosting = hosting
        self._connect = connect
        self._patience_s = patience_s
        self._check = check
        self._lock = lock_of(self, "_lock")
        self._clients: dict[int, Client] = {}

    def at(self, number: int) -> Partition:
        """Return what answers for a partition now.

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
        """Return what a call answers; asked again where the System that was asked has stopped meanwhile.

        So the call must be one that counts once however often it is made.

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

    def close(self, seconds: float) -> None:
        """Close all clients."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            with contextlib.suppress(NotRunning):
                client.close(seconds)
