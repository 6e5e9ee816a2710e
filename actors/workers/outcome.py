"""The description of a failed attempt for the queue: the exception, and when to try again, or that it is final.

Whether a message is tried again is a rule of the queue; what its handler's options say about an exception is applied here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.core.actor import ActorKilled
from perdure.actors.core.log_lines import log_failure
from perdure.actors.core.texts import plain_text
from perdure.actors.execution.pickling import ProcessError, kind_name
from perdure.actors.workers.context import Reject, Retry
from perdure.events.commands import Fail
from perdure.events.handlers.backoff import checked_delay
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    import random

    from perdure.actors.core.executor import Executor
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.requests.raised_errors import Raised
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery

__all__ = ["Failures"]

logger = GuardedLogger("perdure")

TRACEBACK_CHARS = 16_000
NAME_CHARS = 500
"""Of an exception's qualified name; each dead letter keeps up to 33 of them."""
FALLBACK_DELAY_S = 1.0
"""The wait before a retry where a host's own backoff failed to name one."""


class Failures:
    """Describes failed attempts for the queue, and logs them. Safe in any thread."""

    __slots__ = ("_executor", "_raised", "_rng", "_tuning")

    def __init__(self, executor: Executor, rng: random.Random, tuning: Tuning, raised: Raised) -> None:
        self._executor = executor
        self._rng = rng
        self._tuning = tuning
        self._raised = raised

    def failure(self, pool: Pool, delivery: WorkerDelivery, error: BaseException) -> Fail:
        """Describe a failed attempt: `Retry` and `Reject` say themselves what follows, else the handler's policy does."""
        try:
            return self._described(pool, delivery, error)
        except ActorKilled:
            raise
        except BaseException as second:  # noqa: BLE001 - the exception is foreign code, its class and its properties too
            plain = RuntimeError(f"an exception that cannot be described: {_safe_name(error)}, which raised {_safe_name(second)}")
            return self._described(pool, delivery, plain)

    def _described(self, pool: Pool, delivery: WorkerDelivery, error: BaseException) -> Fail:
        published, lease = delivery.published, delivery.lease
        reject, delay_s = None, 0.0
        if isinstance(error, Reject):
            reject = plain_text(error.reason)
        elif isinstance(error, Retry):
            delay_s = checked_delay(error.delay)
        else:
            reject = _final(pool.handler, error)
            delay_s = 0.0 if reject else self._backoff_s(pool, lease.attempt - lease.uncounted, error)
        name = _name(error)
        trace = plain_text(self._executor.traceback(error), TRACEBACK_CHARS)
        if published.extras is not None and published.extras.result_us and not delivery.lost:
            self._raised.put(published.id, name, error)
        delay_us = round(delay_s * 1_000_000)
        fail = Fail(published.number, published.id, lease.attempt, name, _text(error), trace, delay_us, reject)
        if not delivery.lost:  # else the end of the attempt is decided and logged already
            counted = lease.attempt - lease.uncounted
            log_failure(self._tuning, published, counted, fail, error, asked=isinstance(error, Retry))
        return fail

    def undecodable(self, delivery: WorkerDelivery, error: BaseException) -> Fail:
        """Describe a message whose payload does not fit its type: no attempt can succeed. The dead letter keeps the bytes."""
        published, lease = delivery.published, delivery.lease
        reason = f"its payload cannot be decoded: {_text(error)}"
        fail = Fail(published.number, published.id, lease.attempt, _name(error), reason, "", 0, reason)
        log_failure(self._tuning, published, lease.attempt - lease.uncounted, fail, None, asked=False)
        return fail

    def _backoff_s(self, pool: Pool, attempt: int, error: BaseException) -> float:
        """Return the delay that the handler's backoff gives, within what a log can hold; a host's own backoff may fail."""
        backoff = pool.handler.backoff
        try:
            return checked_delay(backoff(attempt, error) if callable(backoff) else backoff.delay(attempt, self._rng.random()))
        except ActorKilled:
            raise
        except BaseException:
            logger.exception("the backoff of %s failed; its message is tried again in %g s", pool.type, FALLBACK_DELAY_S)
            return FALLBACK_DELAY_S


def _final(handler: HandlerSpec, error: BaseException) -> str | None:
    """Return the reason why this exception is not worth another attempt; None if it is."""
    name = _name(error)
    if handler.dead_letter_on and _is_one_of(error, handler.dead_letter_on):
        return f"{name} is one of dead_letter_on"
    if handler.retry_on and not _is_one_of(error, handler.retry_on):
        return f"{name} is none of retry_on"
    return None


def _is_one_of(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    return isinstance(error, kinds) or (isinstance(error, ProcessError) and error.is_one_of(kinds))


def _name(error: BaseException) -> str:
    name = error.kinds[0] if isinstance(error, ProcessError) and error.kinds else kind_name(type(error))
    return plain_text(name, NAME_CHARS)


def _text(error: BaseException) -> str:
    """Return an exception's message, even where its own `__str__` fails."""
    try:
        return plain_text(error.text if isinstance(error, ProcessError) else error)
    except ActorKilled:
        raise
    except BaseException as second:  # noqa: BLE001 - the handler's exception is foreign code
        return f"(no message: its __str__ raised {type(second).__name__})"


def _safe_name(error: BaseException) -> str:
    """Return the name of an exception's class, read where no class can change it."""
    return plain_text(type.__getattribute__(type(error), "__name__"), NAME_CHARS)
