"""Putting a handler on record, from whatever process has it, and the log line where another process's options count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.handlers.registry import Register
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.workers.handler_spec import HandlerSpec

__all__ = ["register"]

logger = GuardedLogger("perdure")


def register(ask: Callable[[str, Register], Any], spec: HandlerSpec, started_us: int = 0) -> None:
    """Put a handler on record; `started_us` is when this process began, where several share the folder.

    Raises:
        As `ask`.
    """
    differs = ask("dispatcher", Register(spec.registration(started_us)))
    if differs:
        options = ", ".join(f"{name}: {mine!r} here, {counts!r} counts" for name, (mine, counts) in sorted(differs.items()))
        logger.warning("handler of %s: other options count, of a process that started later: %s", spec.type, options)
