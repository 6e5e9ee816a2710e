"""`tell_each`: tells each of several live things the same, so that one that raises does not keep the others from being told.

For what the interpreter calls once and never again: after a fork, at its exit. A step of a stop may be made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FORKED", "tell_each"]

logger = GuardedLogger("perdure")

T = TypeVar("T")

FORKED = "this process was forked"
"""What is told after a fork."""


def tell_each(those: Iterable[T], tell: Callable[[T], object], what: str) -> None:
    """Call `tell` with each of those, also where it raises for some; then log what it raised, and when: `what`.

    The log comes last: a log handler of the host may hang in a forked child, on a lock that a thread of its parent held.
    Whatever is raised ends here, KeyboardInterrupt included.
    """
    failed: list[tuple[str, BaseException]] = []
    for one in those:
        try:
            tell(one)
        except BaseException as error:  # noqa: BLE001 - logged below
            failed.append((getattr(one, "__qualname__", type(one).__name__), error))
    for kind, cause in failed:
        logger.error("%s: %s failed, and the others went on: %r", what, kind, cause, exc_info=cause)
