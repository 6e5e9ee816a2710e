"""`call_each`: calls a function for each of several objects, so that one for which it raises does not keep it from the others.

For what the interpreter calls once and never again: after a fork, at its exit. Other steps of a stop can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FORKED", "call_each"]

logger = GuardedLogger("perdure")

T = TypeVar("T")

FORKED = "this process was forked"
"""The name of the event after a fork, for the log."""


def call_each(those: Iterable[T], call: Callable[[T], object], what: str) -> None:
    """Make the call for each object, even where it raises for some; then log what it raised. `what` names the event.

    The log comes last: a log handler of the host may hang in a forked child, on a lock that a thread of its parent held.
    Whatever is raised ends here, KeyboardInterrupt included.
    """
    failed: list[tuple[str, BaseException]] = []
    for one in those:
        try:
            call(one)
        except BaseException as error:  # noqa: BLE001 - logged below
            failed.append((getattr(one, "__qualname__", type(one).__name__), error))
    for kind, cause in failed:
        logger.error("%s: %s failed, and the others went on: %r", what, kind, cause, exc_info=cause)
