"""`WholeQueue`: what a command acts on where its address names a queue of several partitions and none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.cluster.acts.at_once import ask_each
from perdure.cluster.partition_access import home_of
from perdure.cluster.sums import ClusterAdmin, ClusterDeadLetters
from perdure.connecting import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager, ExitStack

    from perdure.events.commands import LookUp
    from perdure.processes.client import Client
    from perdure.publishing.message_state import MessageState
    from perdure.system import System

    Front = System | Client

__all__ = ["WholeQueue"]


class WholeQueue:
    """All partitions of a queue, each through its owner, or through a System of the command where it has none. For one thread.

    Args:
        address: of the queue.
        addresses: of its partitions.
        open_one: gives what acts on one of them, for the time of a block.
        stack: keeps those open that were used.
    """

    def __init__(
        self,
        address: str,
        addresses: dict[int, str],
        open_one: Callable[[str], AbstractContextManager[Front]],
        stack: ExitStack,
    ) -> None:
        self._address = address
        self._addresses = addresses
        self._open_one = open_one
        self._stack = stack
        self._fronts: dict[int, Front] = {}
        self.count = len(addresses)
        self.admin = ClusterAdmin(self)
        self.dead_letters = ClusterDeadLetters(self)

    def through(self, number: int, call: Callable[[Front], Any]) -> Any:
        """Return what a call on one partition answers.

        Raises:
            StoreUnavailable: it holds no log: no process has owned it yet.
            Whatever the call raises.
        """
        front = self._fronts.get(number)
        if front is None:
            front = self._fronts[number] = self._stack.enter_context(self._open_one(self._addresses[number]))
        return call(front)

    def each(self, calls: Mapping[int, Callable[[Front], Any]], *, is_act: bool = False) -> dict[int, Any]:
        """Return what calls on many partitions answer, by their numbers, in that order; one after the other.

        Raises:
            As `perdure.cluster.acts.at_once.ask_each`.
        """
        return ask_each(calls, lambda number: self.through(number, calls[number]), at_once=1, is_act=is_act)

    def home_of(self, ident: str) -> int:
        """Return the partition of a message: the one that knows it, else the one that its id leads to."""
        return home_of(ident, self.count, self._look_up, at_once=1)

    def _look_up(self, number: int, look: LookUp) -> Any:
        return self.through(number, lambda front: front.ask("queue", look))

    def address_of(self, number: int) -> str:
        """Return the address of a partition's log."""
        return self._addresses[number]

    def cancel(self, ident: str, reason: str) -> bool:
        """Cancel a message in the partition that has it; as `System.cancel`."""
        done: bool = self.through(self.home_of(ident), lambda front: front.cancel(ident, reason))
        return done

    def state(self, ident: str) -> MessageState:
        """Return where a message is; as `System.state`."""
        found: MessageState = self.through(self.home_of(ident), lambda front: front.state(ident))
        return found

    def publish(self, message: Any, **options: Any) -> str:
        """Publish to the partition that the message belongs to; as `System.publish`, by any process."""
        with connect(self._address) as client:
            return client.publish(message, **options)
