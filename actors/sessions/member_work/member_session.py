"""The half of a session that feeds a member's workers: what the queue hands out goes there, and outcomes come back.

Part of `session`. What a member reports is in `member_outcomes`; what its workers do is in `actors/members`.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.messages import Wake
from perdure.actors.queue.reattaching import Reattach
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.delivered import rows_of
from perdure.actors.sessions.framing.wire import FRAME_MAX, BadFrame, Kind, pack
from perdure.actors.sessions.member_work.member_outcomes import MemberOutcomes
from perdure.actors.workers.handler_spec import spec_on_record
from perdure.actors.workers.pools.member_pool import MemberPool
from perdure.actors.workers.pools.worker_messages import PoolChanged
from perdure.events.processes.relayers import Relayers
from perdure.events.processes.signs_of_life import HEARD_S, is_heard
from perdure.events.vocabulary import HandlerRegistered, ProcessLeft

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from perdure.actors.core.directory import Directory
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.sessions.member_work.begin_marks import MarkReader
    from perdure.actors.workers.pools.handler_pools import HandlerPools
    from perdure.actors.workers.pools.pool import WorkerDelivery
    from perdure.actors.workers.reporting import Reporter
    from perdure.events.vocabulary import ProcessJoined

__all__ = ["MemberServices", "MemberSession"]

ASK_AGAIN_S = 0.5
"""When a member is asked again what becomes of a lease that has run out."""
TYPES_MAX = 10_000
BUCKETS_MAX = 1_000
"""Of `RunTimes`: its durations have 64 bits, and eight buckets for each."""
OUTBOXES_MAX = 10_000
OUTBOX_NAME_MAX = 512
ASKED_MAX = 10_000
DELIVER_BYTES = 4 << 20
"""Payload in one frame; a single message may have more."""
OUT_MAX = 1 << 20
"""Deliveries of one type that a member may ask for."""


def _monotonic_s() -> float:
    return time.monotonic()


@attrs.frozen(kw_only=True)
class MemberServices:
    """What feeds the workers of other processes, in the owner's run."""

    directory: Directory
    pending: PendingRequests
    pools: HandlerPools
    reporter: Reporter
    monotonic_s: Callable[[], float] = _monotonic_s
    relayers: Relayers = attrs.field(factory=Relayers)
    ahead_us: Callable[[], int] = lambda: 0
    """See `Owner.ahead_us`."""
    own_outboxes: Callable[[], Collection[str]] = tuple
    """Returns the outboxes that other processes may have too and the owner relays."""


class MemberSession:
    """One member's pools. `take` and `frames` run in the server's thread; what `MemberPort` has, in any.

    Args:
        services: the owner's.
        notify: called in any thread when there are `frames`.
        marks: which attempts the member's workers have begun; None: not known.
        process: the member, as it goes on record.
        permit: raises where the member may not handle a type.
    """

    def __init__(
        self,
        services: MemberServices,
        notify: Callable[[], None],
        marks: MarkReader | None,
        process: ProcessJoined,
        permit: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.process = process
        self._services = services
        self._notify = notify
        self._marks = marks
        self._permit = permit
        self._pools: dict[str, MemberPool] = {}
        self.outcomes = MemberOutcomes(self._pools, services.reporter, services.pending, services.monotonic_s)
        """Takes what the member reports."""
        self._out: deque[tuple[Kind, Any, Any]] = deque()
        self._overdue: dict[tuple[int, str, int, int], float] = {}
        """Leases that have run out: when the member was asked about each."""
        self.heard_s = self._services.monotonic_s()
        """When the member gave its last sign of life, in seconds on the clock of the services."""
        self.deputy_seq: int | None = None
        """Up to where the member has folded the log; None: it is no deputy. Read in any thread."""
        self._is_silent = False
        self._is_gone = False
        services.directory.tell("supervisor", process)

    # --- MemberPort --------------------------------------------------------------------------------------------------------

    def is_heard(self, within_s: float) -> bool:
        """See `MemberPort.is_heard`."""
        return not self._is_gone and is_heard(self.heard_s, self._services.monotonic_s(), max(HEARD_S, within_s))

    def deliver(self, pool: MemberPool, deliveries: list[WorkerDelivery]) -> None:
        """See `MemberPort.deliver`."""
        self._put(Kind.DELIVER, pool, deliveries)

    def revoke(self, delivery: WorkerDelivery, *, cancels: bool) -> None:
        """See `MemberPort.revoke`."""
        self._put(Kind.REVOKE, delivery.type, [*delivery.attempt_ref, cancels])

    def configure(self, type_name: str, parallelism: int, changes: Mapping[str, Any], *, paused: bool) -> None:
        """See `MemberPort.configure`."""
        self._put(Kind.CONFIGURE, type_name, [parallelism, dict(changes), paused])

    def overdue(self, type_name: str, lease: tuple[int, str, int, int]) -> None:
        """See `MemberPort.overdue`."""
        now_s = self._services.monotonic_s()
        if len(self._overdue) > ASKED_MAX:
            self._overdue = {ref: at_s for ref, at_s in self._overdue.items() if now_s < at_s + ASK_AGAIN_S}
        if now_s >= self._overdue.get(lease, 0.0) + ASK_AGAIN_S:  # the queue asks again and again until the answer is there
            self._overdue[lease] = now_s
            self._put(Kind.OVERDUE, type_name, [*lease])

    def _put(self, kind: Kind, what: Any, details: Any) -> None:
        if not self._is_gone:
            self._out.append((kind, what, details))
            self._notify()

    def give_back(self, pool: MemberPool, deliveries: list[WorkerDelivery]) -> None:
        """See `MemberPort.give_back`."""
        ended = []
        for delivery in deliveries:
            if delivery.outcome is None and pool.open.get(delivery.number) is delivery:
                delivery.lost = True
                delivery.outcome = pool.end_of(delivery, begun=self._has_begun(delivery))
                ended.append(delivery)
        if ended:
            self._services.reporter.report(pool, ended)

    def _has_begun(self, delivery: WorkerDelivery) -> bool:
        if self._marks is None:
            return not delivery.lease.prefetched
        return self._marks.has_begun(delivery.number, delivery.lease.attempt)

    # --- what comes in -----------------------------------------------------------------------------------------------------

    def heard(self) -> None:
        """Note that the member has given a sign of life."""
        self.heard_s = self._services.monotonic_s()
        if self._is_silent:
            self._is_silent = False
            self._mark_pools(is_silent=False)

    def look(self) -> None:
        """See whether the member still gives signs of life. Called several times a second."""
        if not self._is_silent and not self.is_heard(0.0):
            self.fall_silent()

    def fall_silent(self) -> None:
        """See `MemberPort.fall_silent`."""
        self._is_silent = True
        self._mark_pools(is_silent=True)

    def _mark_pools(self, *, is_silent: bool) -> None:
        for pool in list(self._pools.values()):
            pool.is_silent = is_silent
            self._services.directory.tell("dispatcher", PoolChanged(pool))

    def take(self, kind: Kind, elements: list[Any]) -> list[bytes]:
        """Take a frame in that is about its workers.

        Raises:
            BadFrame, BadObject: it is malformed.
        """
        for item in elements:
            match kind, item:
                case Kind.SUBSCRIBE, [int(may_be_out), int(slots), int(version), bytes(body)] if (
                    0 <= slots <= OUT_MAX >= may_be_out >= 0 < version
                ):
                    self._subscribe(may_be_out, slots, version, OBJECTS.object(body))
                case Kind.REATTACH, [str(type_name), list(rows)] if type_name in self._pools:
                    self._reattach(self._pools[type_name], rows)
                case _:
                    msg = f"a malformed {kind.name} frame"
                    raise BadFrame(msg)
        return []

    def take_ping(self, elements: list[Any]) -> list[bytes]:
        """Answer a sign of life; note how long the member's handlers took, which outboxes it has, and how far a deputy is.

        Raises:
            BadFrame: it is malformed.
        """
        outboxes: dict[str, int] = {}
        for item in elements:
            match item:
                case [str(type_name), dict(runs), dict(waits)] if _are_counts(runs) and _are_counts(waits):
                    pool = self._pools.get(type_name)
                    if pool is not None:
                        pool.runs.take(runs)
                        pool.waits.take(waits)
                case [int(seq)] if seq >= 0:
                    self.deputy_seq = seq
                case [str(name), int(news)] if 0 < len(name) <= OUTBOX_NAME_MAX and len(outboxes) < OUTBOXES_MAX:
                    outboxes[name] = news
                case _:
                    msg = "malformed times of handlers"
                    raise BadFrame(msg)
        if self._services.relayers.claim(self, outboxes, self._services.own_outboxes()):
            self._services.directory.tell("relay", Wake())
        return [pack(Kind.PONG, self._services.ahead_us())]

    def relayed(self) -> dict[str, int]:
        """Return which outboxes the member relays; see `Relayers.granted`."""
        return self._services.relayers.granted(self, self._services.monotonic_s(), self._services.own_outboxes())

    def _subscribe(self, may_be_out: int, slots: int, version: int, registered: object) -> None:
        if not isinstance(registered, HandlerRegistered):
            msg = "a subscription without its handler"
            raise BadFrame(msg)
        pool = self._pools.get(registered.type)
        if pool is None:
            if len(self._pools) >= TYPES_MAX:
                msg = f"more than {TYPES_MAX:,} handlers"
                raise BadFrame(msg)
            self._permit(registered.type)
            pool = self._pools[registered.type] = MemberPool(spec_on_record(registered), self)
            self._services.pools.join(pool)
        pool.may_be_out, pool.slots, pool.version = may_be_out, slots, version
        self._services.directory.tell("dispatcher", PoolChanged(pool))

    def _reattach(self, pool: MemberPool, rows: list[Any]) -> None:
        held: list[tuple[int, str, int]] = []
        for row in rows:
            match row:
                case [int(number), str(ident), int(attempt)]:
                    held.append((number, ident, attempt))
                case _:
                    msg = "a malformed delivery"
                    raise BadFrame(msg)
        self.outcomes.reattach(pool.type)
        self._services.pending.send("queue", Reattach(pool, held), _Refused(self, pool.type), from_outside=False)

    def reattached(self, type_name: str) -> None:
        """Note that the queue has decided what the member holds of a type, or never will. In any thread."""
        self.outcomes.reattached(type_name)
        self._notify()

    def refused(self, type_name: str, refs: list[tuple[int, str, int]]) -> None:
        """Revoke what is no longer the member's. In any thread."""
        for ref in refs:
            self._put(Kind.REVOKE, type_name, [*ref, False])
        self._services.directory.tell("dispatcher", PoolChanged(self._pools[type_name]))  # what it holds counts in its window

    # --- what goes out -----------------------------------------------------------------------------------------------------

    def frames(self, room: int = FRAME_MAX) -> list[bytes]:
        """Return what is to be sent, up to about `room` bytes; the rest when called again. Outcomes that waited go on."""
        self.outcomes.go_on()
        found: list[bytes] = []
        out = self._out
        while out and room > 0:
            kind, what, details = out.popleft()
            if kind is Kind.DELIVER:
                deliveries = [delivery for delivery in details if not delivery.lost]
                n = _that_fit(deliveries, min(room, DELIVER_BYTES))
                if n < len(deliveries):
                    out.appendleft((kind, what, deliveries[n:]))
                plain, single = rows_of(deliveries[:n], OBJECTS)
                found.append(pack(kind, what.type, plain, single))
            else:
                found.append(pack(kind, what, *details))
            room -= len(found[-1])
        return found

    def close(self) -> None:
        """The member is gone: settle what it had. What had begun counts, what had not does not."""
        self._is_gone = True
        self._services.relayers.forget(self)
        for pool in self._pools.values():
            pool.is_gone = True
            self.give_back(pool, list(pool.open.values()))
            self._services.directory.tell("dispatcher", PoolChanged(pool))
        process = self.process
        self._services.directory.tell("supervisor", ProcessLeft(process.member, process.pid, process.name))


def _are_counts(buckets: dict[Any, Any]) -> bool:
    """Return whether a map is one of counts by bucket, of a size that `RunTimes` may have."""
    return len(buckets) <= BUCKETS_MAX and all(
        type(bucket) is int and type(n) is int and 0 <= bucket < BUCKETS_MAX and n >= 0 for bucket, n in buckets.items()
    )


def _that_fit(deliveries: list[WorkerDelivery], room: int) -> int:
    """Return how many of the first deliveries have about so many bytes of payload: one at least."""
    for n, delivery in enumerate(deliveries):
        room -= len(delivery.payload)
        if room <= 0:
            return n + 1
    return len(deliveries)


class _Refused:
    """The reply to `Reattach`: what was refused is revoked."""

    def __init__(self, session: MemberSession, type_name: str) -> None:
        self._session = session
        self._type = type_name

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._session.refused(self._type, value)
        self._session.reattached(self._type)

    def reject(self, error: BaseException) -> None:  # noqa: ARG002 - the protocol's name
        """See `Reply.reject`: the run ends, and the next owner is asked."""
        self._session.reattached(self._type)
