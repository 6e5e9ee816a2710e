"""What the workers of one handler share: their mailbox, and the deliveries that are out with them.

It outlives the actors that use it, so every step is a single atomic operation of a dict: an actor that dies between two of them
leaves a state that shows the dispatcher what happened.
"""

from __future__ import annotations

import contextlib
import math
from operator import is_
from queue import Empty
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.core.threads.mailbox import Mailbox
from perdure.events import vocabulary as ev
from perdure.events.commands import Done, ReassertLease
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from perdure.actors.execution.child_process import HandlerProcess
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.events.structures.message import Message
    from perdure.events.vocabulary import FailureNote, Leased

__all__ = ["DONE", "Pool", "Rate", "Retire", "RunTimes", "WorkerDelivery"]

SLACK = 64
"""Withdrawn deliveries that may lie in a mailbox, beyond twice as many as are out."""

DONE: Any = type("Done", (), {"__repr__": lambda _: "DONE"})()
"""The outcome of a plain message whose handler returned and published nothing."""


CHECK_AGAIN: Any = type("LookUp", (), {"__repr__": lambda _: "CHECK_AGAIN"})()
"""An item that only makes a worker check its pool."""


class Claimed(msgspec.Struct, eq=False, kw_only=True):
    """An item of a pool's mailbox for one of its workers; it is put there again if a worker may have died with it."""

    claim: dict[int, object] = {}
    """The token of the worker that has it, under key 0: the first to set it."""

    def claimed_by(self, token: object) -> bool:
        """Claim it for a worker's token; return whether that worker has it."""
        return self.claim.setdefault(0, token) is token

    @property
    def owner(self) -> object | None:
        """The token that it is claimed with; None: it is not claimed."""
        return self.claim.get(0)


class Retire(Claimed, eq=False):
    """Makes the worker that claims it end in good order."""


class WorkerDelivery(Claimed, eq=False):
    """One attempt of one message, on its way to a worker and back; a Struct, as these are made faster than other classes."""

    number: int
    lease: Leased | LeaseBatch
    payload: bytes
    record: ev.Published | None = None
    """How it was published; for plain messages it is made when needed."""
    failures: list[FailureNote] | None = None
    outcome: Any = None
    started_us: int = 0
    extended_until_us: int = 0
    """If not 0, the holder asked for more time than its handler's usual."""
    asking: set[Any] | None = None
    """The answers that its handler waits for, of heartbeats and calls of `extend`; None: there was none."""
    sign_us: int = 0
    """If not 0, when its handler's last heartbeat was answered."""
    lost: bool = False
    """The lease is gone; the handler's outcome will not count."""
    guard: threading.Lock | None = None
    """For handlers that can be interrupted: held while this one must not be."""
    thread_id: int = 0
    stop: Callable[[float], None] | None = None
    """Ends the handler call under way, for those that run elsewhere than in the worker's thread: after so many seconds where it
    can see that first, so that it may end by itself."""

    @classmethod
    def of(cls, message: Message, lease: Leased) -> WorkerDelivery:
        """Return the delivery of a message that is not plain."""
        return cls(message.number, lease, message.published.payload, message.published, message.failures)

    @property
    def published(self) -> ev.Published:
        """How it was published."""
        if self.record is None:
            self.record = ev.Published(self.number, self.id, self.type, self.payload)
        return self.record

    @property
    def id(self) -> str:
        """The message's id."""
        lease = self.lease
        if self.record is None and isinstance(lease, LeaseBatch):
            return lease.id_of(self.number)
        return self.published.id

    @property
    def correlation_id(self) -> str:
        """What all messages of its chain share: the first one's id, unless its publisher gave another."""
        record = self.record
        return self.id if record is None else record.correlation_id or record.id

    @property
    def headers(self) -> Mapping[str, str] | None:
        """The headers that the publisher gave; a plain message has none."""
        record = self.record
        return None if record is None else record.headers

    @property
    def type(self) -> str:
        """The message type's stable name."""
        lease = self.lease
        return lease.block.type if isinstance(lease, LeaseBatch) else self.published.type

    @property
    def attempt_ref(self) -> tuple[int, str, int]:
        """Number, id and attempt: the first fields of each report on it."""
        return self.number, self.id, self.lease.attempt

    @property
    def report(self) -> Any:
        """Its outcome as a command of its own for the queue."""
        return Done(*self.attempt_ref) if self.outcome is DONE else self.outcome

    def leased(self) -> Leased:
        """Return the event of its lease."""
        lease = self.lease
        return lease.leased(self.number) if isinstance(lease, LeaseBatch) else lease

    def claim_on_record(self) -> ReassertLease:
        """Return the command that puts its lease on record again where the log has lost it."""
        return ReassertLease(self.number, self.id, self.leased())


class RunTimes:
    """How long waits and handler calls took: counts in buckets that grow by an eighth, so percentiles are right to 12 %."""

    __slots__ = ("buckets", "count")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0

    def add(self, us: float) -> None:
        """Count one duration in microseconds."""
        i = int(us)
        # The three bits after the leading one: a logarithm without a float, good to an eighth.
        bucket = i if i < 16 else ((i.bit_length() - 4) << 3) + (i >> (i.bit_length() - 4))  # noqa: PLR2004 - 8 buckets to each doubling
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1

    def take(self, buckets: Mapping[int, int]) -> None:
        """Take these counts in place of its own."""
        self.buckets, self.count = dict(buckets), sum(buckets.values())

    def percentile_us(self, share: float) -> float:
        """Return the duration that the share (0 to 1) of all did not exceed, in microseconds; 0.0 without any."""
        buckets = sorted(dict(self.buckets).items())
        left = share * sum(n for _, n in buckets)
        for bucket, n in buckets:
            left -= n
            if left <= 0:
                return float(bucket if bucket < 16 else (bucket % 8 + 8) << (bucket // 8 - 1))  # noqa: PLR2004 - as above
        return 0.0


class Rate:
    """Events a second: an exponential average over half a minute, kept as one number that fades."""

    __slots__ = ("_at_s", "_level")
    FADE_S = 30.0

    def __init__(self) -> None:
        self._level = 0.0
        self._at_s = 0.0

    def add(self, count: int, now_s: float) -> None:
        """Count events at a time; the times of all calls come from one clock."""
        self._level = self._faded(now_s) + count
        self._at_s = now_s

    def per_s(self, now_s: float) -> float:
        """Return the rate."""
        return self._faded(now_s) / self.FADE_S

    def _faded(self, now_s: float) -> float:
        return self._level * math.exp((self._at_s - now_s) / self.FADE_S)


class Pool:
    """The workers of one handler and their deliveries, as queue, dispatcher and workers see them."""

    is_elsewhere = False
    """Its workers are in another process."""
    is_gone = False
    """That process is gone: what comes from now on is given back."""

    def __init__(self, handler: HandlerSpec) -> None:
        self.registered = handler
        """As the host's code says."""
        self.handler = handler
        """With what an operator changed since."""
        self.inbox = Mailbox()
        self.open: dict[int, WorkerDelivery] = {}
        """By message number: from the moment it may reach a worker until its outcome is on record."""
        self.workers: dict[str, object] = {}
        """Name to the token of the worker that holds it now."""
        self.target = 0
        """How many workers there should be."""
        self.window = 0
        """How many deliveries may be out with its workers, as last told to the queue."""
        self.retiring: list[Retire] = []
        """One for each worker that is to end and has not yet."""
        self.closed = False
        """While set, workers give back what they have not started."""
        self.run_us = 0.0
        """Moving average of a handler call."""
        self.rate = Rate()
        self.runs = RunTimes()
        self.waits = RunTimes()
        """From the moment a message could have been handled to the start of its first attempt."""
        self.processes: dict[str, HandlerProcess] = {}
        """By the name of the worker whose calls it runs."""
        self.awaits = False
        """Its handler is a plain one, and has returned something to be awaited."""
        self.processed = 0
        self.failed = 0

    @property
    def type(self) -> str:
        """The message type's stable name."""
        return self.handler.type

    @property
    def needs_loop(self) -> bool:
        """Whether its handler runs on the event loop."""
        return self.awaits or self.handler.kind == "async"

    def deliver(self, deliveries: list[WorkerDelivery]) -> None:
        """Put deliveries into the workers' mailbox. Runs in the journal's thread, once their leases are written."""
        put = self.inbox.put
        if self.inbox.qsize() > 2 * len(self.open) + SLACK:
            self._tidy()
        numbers = [delivery.number for delivery in deliveries]
        if self.open.keys().isdisjoint(numbers):
            self.open.update(zip(numbers, deliveries, strict=True))
            for delivery in deliveries:
                put(delivery)
            self.inbox.notify()
            return
        for delivery in deliveries:
            if self.opens(delivery):
                put(delivery)
        self.inbox.notify()

    def opens(self, delivery: WorkerDelivery) -> bool:
        """Enter a delivery among those that are open, in place of an earlier one of its message; return False if it came twice."""
        known = self.open.get(delivery.number)
        if known is not None:
            if known.lease is delivery.lease or (known.attempt_ref == delivery.attempt_ref and not known.lost):
                return False
            self.revoke(known)
        self.open[delivery.number] = delivery
        return True

    def _tidy(self) -> None:
        """Remove deliveries that were withdrawn before a worker took them: behind slow handlers they would pile up.

        Called only by the thread that puts deliveries there, so that their order stays. If it dies in between, it has removed items
        that only the dispatcher puts there again; see `Dispatcher.term_begun`.
        """
        still = []
        with contextlib.suppress(Empty):
            while True:
                item: Any = self.inbox.get_nowait()
                if not (isinstance(item, Claimed) and item.claim):
                    still.append(item)
        for item in still:
            self.inbox.put(item)

    def end_waits(self) -> None:
        """Wake workers that wait for more messages of a batch: the pool may have been closed."""
        if self.handler.batch_size:
            for _ in self.workers:
                self.inbox.put(CHECK_AGAIN)
            self.inbox.notify()

    def has(self, delivery: WorkerDelivery) -> bool:
        """Return whether the workers have this delivery; its number alone may be another message's, after frames were voided."""
        known = self.open.get(delivery.number)
        return known is not None and known.attempt_ref == delivery.attempt_ref

    def revoke(self, delivery: WorkerDelivery) -> bool:
        """Revoke a delivery whose lease is over: a running handler sees it; return True if none has begun, and none will."""
        delivery.lost = True
        unstarted = delivery.claimed_by(self)
        if unstarted:
            self.confirmed([delivery])
        return unstarted

    def confirmed(self, deliveries: list[WorkerDelivery]) -> None:
        """Forget deliveries whose outcome is on record."""
        numbers = [delivery.number for delivery in deliveries]
        current = map(is_, map(self.open.get, numbers), deliveries)
        for number in [number for number, still in zip(numbers, current, strict=True) if still]:
            del self.open[number]

    @property
    def is_busy(self) -> bool:
        """Whether any delivery that is out has no outcome on record yet."""
        return any(not delivery.lost for delivery in list(self.open.values()))

    def running(self) -> list[WorkerDelivery]:
        """Return the deliveries that a worker has claimed and not finished."""
        return [d for d in list(self.open.values()) if d.claim and d.outcome is None and not d.lost]
