"""What a handler sees of the message it handles, and how it says more than "done" or "failed".

Runs in the handler's thread. Nothing here changes state: it sends requests to the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import attrs
import msgspec

from perdure.actors.core.texts import plain_text
from perdure.events.commands import Extend
from perdure.events.commit_size import Size, check_commit, draft_bytes
from perdure.events.errors import PayloadTooLarge
from perdure.events.keyword_options import shows
from perdure.events.public_names import public
from perdure.events.publish_options import DEFAULTS, PublishOptions
from perdure.events.queue.leasing import lease_lost
from perdure.events.seconds import checked_seconds, plain_number, shown, whole_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Unpack

    from perdure.actors.core.clock import Clock
    from perdure.actors.core.executor import Executor
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.execution.child_process import HandlerProcess
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.pools.pool import WorkerDelivery
    from perdure.actors.workers.publisher import Publisher
    from perdure.events.commands import Draft

__all__ = ["Batch", "BatchItem", "Context", "ContextServices", "Reject", "Retry", "check_percent", "deliveries_of"]

M = TypeVar("M")
ANSWER_TIMEOUT_S = 30.0
COMPLETION_BYTES = 16 << 10
"""Bytes that a completion may take on record beside what its handler publishes and returns: its key's window, its chain."""


@public
class Retry(Exception):
    """Raised by a handler: try this message again in `delay` seconds, whatever its backoff says. Counts as an attempt."""

    def __init__(self, delay: float = 0.0, reason: str = "the handler asked for a retry") -> None:
        super().__init__(reason)
        self.delay = checked_seconds("delay", delay)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make it again, on its way from a process handler: an exception keeps only its text by default."""
        return type(self), (self.delay, *self.args), self.__dict__


@public
class Reject(Exception):
    """Raised by a handler: this message can never be handled; it becomes a dead letter at once."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen(eq=False)
class ContextServices:
    """What the contexts of one run use: made once, shared by all of them."""

    publisher: Publisher
    tuning: Tuning
    clock: Clock
    executor: Executor
    pending: PendingRequests
    child_id: Callable[[Context, Any, Mapping[str, Any]], str | None] | None = None
    """Names messages that belong to another log; see `perdure.actors.workers.gates.gate.Children.id_for`."""


@public
class Context(msgspec.Struct, eq=False):
    """One attempt of one message, as its handler sees it. Safe in any thread, for as long as the handler runs."""

    _services: ContextServices
    _delivery: WorkerDelivery
    _handler: HandlerSpec
    drafts: list[Draft] = []
    process: HandlerProcess | None = None
    """Where a process handler runs."""
    drafts_bytes: int = 0
    """Of payload, in what is to be published."""
    commit_bytes: int = COMPLETION_BYTES
    """Of all that is to be published, headers and labels included, and of the completion itself."""
    sent_away: int = 0
    """How much of it belongs to another log."""

    def __repr__(self) -> str:
        """Return the message's id and the attempt."""
        return f"<{type(self).__name__} of {self.id}, attempt {self.attempt}>"

    @property
    def id(self) -> str:
        """The message's id."""
        return self._delivery.id

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1, of those that count; a replay that resets the retries counts from 1 again."""
        lease = self._delivery.lease
        return lease.attempt - lease.uncounted

    @property
    def fencing_token(self) -> int:
        """A number to hand to systems outside: higher than that of each earlier attempt of this message, also over replays."""
        return self._delivery.lease.attempt

    @property
    def key(self) -> str | None:
        """The deduplication key, if any."""
        return self._delivery.published.key

    @property
    def correlation_id(self) -> str:
        """The id that all messages of one chain share: the first message's id, unless its publisher gave another."""
        return self._delivery.correlation_id

    @property
    def causation_id(self) -> str | None:
        """The id of the message whose handler published this one."""
        return self._delivery.published.causation_id

    @property
    def subject(self) -> str | None:
        """The person or thing that the message is about, if the publisher named one."""
        return self._delivery.published.subject

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the publisher gave: a copy, so that no handler changes what the queue has."""
        return dict(self._delivery.headers or {})

    @property
    def cancelled(self) -> bool:
        """True once the lease is gone (timeout, expiry, shutdown, cancelled): stop working, the outcome will not count."""
        return self._delivery.lost

    def for_child(self) -> dict[str, Any]:
        """Return the attributes of this attempt that a handler in another process sees."""
        names = ("id", "attempt", "fencing_token", "key", "correlation_id", "causation_id", "subject")
        return {**{name: getattr(self, name) for name in names}, "headers": self.headers}

    @shows(PublishOptions, defaults=DEFAULTS)
    def publish(self, message: Any, **options: Unpack[PublishOptions]) -> str:
        """Publish with this message's completion: both are on record together, or neither is. Return the new id.

        Takes the options of `System.publish`. The chain is kept: this message's correlation id passes on unless another is
        given, and the new message's causation id is this one's id.

        On a `Cluster`, a message whose group, key or id belongs to another partition is on record there just before this message's
        completion is, under an id that is the same in each attempt.

        Raises:
            InvalidMessage and its kind: as `System.publish`.
            PayloadTooLarge: with it this attempt publishes more than one commit takes (`Options.batch_max`, `batch_bytes_max`).
            LeaseLost: the attempt has ended; nothing is published.
        """
        self._check_can_publish()
        if options.get("correlation_id") is None:
            options["correlation_id"] = self.correlation_id
        child_id = self._services.child_id
        if child_id is not None and (named := child_id(self, message, options)) is not None:
            options["id"] = named
        draft = self._services.publisher.draft(message, causation_id=self.id, **options)
        tuning = self._services.tuning
        size = self.drafts_bytes + len(draft.payload)
        if len(self.drafts) >= tuning.batch_max or size > tuning.batch_bytes_max:
            msg = (
                f"message: {len(self.drafts) + 1:,} messages of {size:,} bytes are more than commit with one attempt "
                f"({tuning.batch_max:,} messages, {tuning.batch_bytes_max:,} bytes). Publish a message that publishes the rest."
            )
            raise PayloadTooLarge(msg)
        commit_bytes = self.commit_bytes + draft_bytes(draft)
        check_commit(Size(len(self.drafts) + 1, commit_bytes), "message")
        self.drafts_bytes, self.commit_bytes = size, commit_bytes
        self.drafts.append(draft)
        self._check_can_publish()  # it may have ended meanwhile, where another thread publishes
        return draft.id

    def heartbeat(self, percent: float, note: str = "") -> None:
        """Record that the work is alive, and how far it is; this renews the lease, but moves no timeout.

        Raises:
            ValueError: a percent outside 0 to 100.
            LeaseLost: the message is no longer this attempt's.
        """
        check_percent(percent)
        lease_s, timeout_s = self._handler.lease_s, self._handler.timeout_s
        lease_us = round((lease_s or 0) * 1_000_000)
        if lease_us and timeout_s is not None:
            ends_us = self._delivery.started_us + round(timeout_s * 1_000_000)
            lease_us = max(1, min(lease_us, ends_us - self._services.clock.now_us()))
        self._extend(lease_us, float(percent), plain_text(note))

    async def aheartbeat(self, percent: float, note: str = "") -> None:
        """As `heartbeat`, for coroutines: does not block the event loop.

        Raises:
            As `heartbeat`.
        """
        await asyncio.get_running_loop().run_in_executor(None, self.heartbeat, percent, note)

    async def aextend(self, seconds: float) -> None:
        """As `extend`, for coroutines: does not block the event loop.

        Raises:
            As `extend`.
        """
        await asyncio.get_running_loop().run_in_executor(None, self.extend, seconds)

    def extend(self, seconds: float) -> None:
        """Ask for `seconds` more from now on, past the handler's usual timeout and lease if need be.

        Raises:
            ValueError: not more than 0 seconds.
            LeaseLost: the message is no longer this attempt's.
        """
        lease_us = whole_us(checked_seconds("lease", seconds, above_zero=True))
        self._extend(lease_us, None, "")
        self._delivery.extended_until_us = self._services.clock.now_us() + lease_us

    def _check_can_publish(self) -> None:
        delivery = self._delivery
        if delivery.outcome is not None:  # a lost lease may be in force again, where the frame that ended it is voided
            raise lease_lost(delivery.id, delivery.lease.attempt)

    def _extend(self, lease_us: int, percent: float | None, note: str) -> None:
        delivery = self._delivery
        number, ident, attempt = delivery.attempt_ref
        if delivery.lost:
            raise lease_lost(ident, attempt)
        answer = self._services.executor.answer()
        extend = Extend(number, ident, attempt, lease_us, percent, note)
        if delivery.asking is None:
            delivery.asking = set()
        delivery.asking.add(answer)
        try:
            self._services.pending.send("queue", extend, answer, from_outside=False)
            answer.wait(ANSWER_TIMEOUT_S)
        finally:
            if percent is not None:
                delivery.sign_us = self._services.clock.now_us()
            delivery.asking.discard(answer)


@public
class BatchItem(Context, Generic[M]):
    """One message of a batch: its context, the message itself, and a verdict of its own. For threads as `Context`."""

    message: M = None  # type: ignore[assignment]  # the worker gives it
    error: BaseException | None = None

    def fail(self, error: BaseException | str, delay: float | None = None) -> None:
        """Fail this message's attempt; the others complete. It waits as its handler's backoff says, or for `delay` seconds.

        Args:
            error: an exception, or a text that says what failed.
            delay: seconds until the next attempt; the handler's backoff unless given.
        """
        reason = error if isinstance(error, BaseException) else RuntimeError(error)
        self.error = reason if delay is None else Retry(delay, str(reason))

    def reject(self, reason: str) -> None:
        """Make a dead letter of this message, with this reason; the others complete."""
        self.error = Reject(reason)


@public
class Batch(Sequence[BatchItem[M]]):
    """The messages of one call of a batch handler, oldest first. Those without a verdict share the call's. Safe in any thread."""

    def __init__(self, items: Sequence[BatchItem[M]]) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, index: int) -> BatchItem[M]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[BatchItem[M]]: ...

    def __getitem__(self, index: int | slice) -> BatchItem[M] | Sequence[BatchItem[M]]:
        """Return one item, or some."""
        return self._items[index]

    def __len__(self) -> int:
        """Count the items."""
        return len(self._items)

    def __iter__(self) -> Iterator[BatchItem[M]]:
        """Return the items, oldest first."""
        return iter(self._items)

    @property
    def messages(self) -> list[M]:
        """The messages alone."""
        return [item.message for item in self._items]

    @property
    def cancelled(self) -> bool:
        """True once the lease of any of them is gone."""
        return any(item.cancelled for item in self._items)


def deliveries_of(context: Context | Batch[Any]) -> list[WorkerDelivery]:
    """Return what a worker has in hand, by what its handler sees of it; for the worker."""
    return [context._delivery] if isinstance(context, Context) else [item._delivery for item in context]  # noqa: SLF001 - of this module


def check_percent(percent: float) -> None:
    """Check a progress that a handler reports.

    Raises:
        ValueError: outside 0 to 100, or not a number.
    """
    number = plain_number(percent)
    if number is None or not 0 <= number <= 100:  # noqa: PLR2004 - these bounds are what percent means
        msg = f"percent must be from 0 to 100, not {shown(percent)}"
        raise ValueError(msg)
