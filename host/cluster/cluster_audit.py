"""The history of a whole queue: the logs of all partitions, read in the database, without asking an owner.

`perdure.operations.audit` reads one log. Each log has sequence numbers of its own, so an answer for the whole queue is paired with
a partition's number, or added up. Not here: questions to the owners (`sums`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from perdure.cluster.routing import search_order
from perdure.cluster.sums import summed_metrics
from perdure.events.errors import InvalidMessage, UnknownMessage
from perdure.events.seconds import shown
from perdure.operations.asked_audit import AskedAudit, ReadFor, TypesAsked
from perdure.store import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.arguments.moments import Moment
    from perdure.cluster.acts.of_all import Partitioned
    from perdure.operations.asked_audit import Permit
    from perdure.operations.audit import Audit
    from perdure.operations.metrics import Metrics
    from perdure.operations.reading.acts import OperatorAct
    from perdure.operations.reading.record import Record
    from perdure.operations.reading.search import Found
    from perdure.operations.running_system import RunningSystem

__all__ = ["ClusterAudit"]

R = TypeVar("R")


class ClusterAudit:
    """Reads the logs of all partitions in the database, without asking an owner. `partition` returns the `Audit` of one.

    `permit` raises if the principal that acts (`acting_as`) lacks a right. `own` returns the System of a partition that runs in
    this process, which has all types without another fold of the log.
    """

    def __init__(self, cluster: Partitioned, permit: Permit, own: Callable[[int], RunningSystem | None] = lambda _: None) -> None:
        self._cluster = cluster
        self._permit = permit
        self._own = own

    def partition(self, number: int) -> Audit:
        """Return the `Audit` of one partition."""
        log = open_reader(self._cluster.address_of(number))
        log.check_readable()
        own = self._own(number)
        return AskedAudit(log, self._permit, None if own is None else own.ask)

    def timeline(self, message_id: str, *, progress: Callable[[int], None] | None = None) -> list[Record]:
        """Return all events of one message, oldest first; as `Audit.timeline`.

        Raises:
            UnknownMessage: no partition has it.
        """
        return self._of_message(message_id, lambda audit: audit.timeline(message_id, progress=progress))

    def explain(self, message_id: str, *, at: Moment | None = None, progress: Callable[[int], None] | None = None) -> str:
        """Return one paragraph about a message; as `Audit.explain`. A sequence number in `at` is one of its partition.

        Raises:
            UnknownMessage: no partition has it.
        """
        return self._of_message(message_id, lambda audit: audit.explain(message_id, at=at, progress=progress))

    def _of_message(self, message_id: str, read: Callable[[Audit], R]) -> R:
        for number in search_order(message_id, self._cluster.count):
            try:
                return read(self.partition(number))
            except UnknownMessage:
                continue
        raise UnknownMessage(f"no message {shown(message_id)} was published in any partition of this queue")

    def events(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        type: str | type | None = None,
        message_id: str | None = None,
    ) -> Iterator[tuple[int, Record]]:
        """Return an iterator over pairs of a partition's number and an event, one partition after the other; as `Audit.events`.

        Sequence numbers in `since` and `until` are those of each partition.

        Raises:
            NotAllowed: the principal that acts in this call lacks the right `reveal`; also in the iteration, for the type that an
                event is about, whichever principal acts then.
        """
        return self._pairs("reveal", lambda audit: audit.events(since=since, until=until, type=type, message_id=message_id))

    def search(self, expression: str, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[tuple[int, Found]]:
        """Return an iterator over pairs of a partition's number and a message, as `events` and `Audit.search`.

        Raises:
            NotAllowed: as `events`.
        """
        return self._pairs("reveal", lambda audit: audit.search(expression, since=since, until=until))

    def acts(self, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[tuple[int, OperatorAct]]:
        """Return an iterator over pairs of a partition's number and an operator's act, as `events` and `Audit.acts`.

        Raises:
            NotAllowed: as `events`, of the right `look`.
        """
        return self._pairs("look", lambda audit: audit.acts(since=since, until=until))

    def _pairs(self, action: str, read: Callable[[Audit], Iterator[R]]) -> Iterator[tuple[int, R]]:
        asked = TypesAsked(self._permit, action)
        asked.require(lambda: ("",))

        def pairs() -> Iterator[tuple[int, R]]:
            for number in range(self._cluster.count):
                for found in read(ReadFor(open_reader(self._cluster.address_of(number)), asked)):
                    yield number, found

        return pairs()

    def state_at(self, when: Moment) -> Metrics:
        """Return the counts of a past moment, added up over all partitions; `seq` is the sum of their positions.

        Args:
            when: a moment (an aware datetime, or float seconds since 1970), by the clocks of the owners. A sequence number is one
                of a partition: `partition(number).state_at(...)`.

        Raises:
            InvalidMessage: `when` is no moment.
            StoreCorrupt, HistoryDropped: as `Audit.state_at`, of any partition.
        """
        if type(when) is int:
            msg = f"when: each partition has sequence numbers of its own. Give a moment, or ask audit.partition(0).state_at({when})"
            raise InvalidMessage(msg)
        return summed_metrics([self.partition(number).state_at(when) for number in range(self._cluster.count)])

    def verify(self) -> dict[int, Any]:
        """Return the result of `Audit.verify`, by partition."""
        return {number: self.partition(number).verify() for number in range(self._cluster.count)}
