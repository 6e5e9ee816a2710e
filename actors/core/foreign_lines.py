"""Leaving out what Pykka and asyncio log at DEBUG while we call them, in the thread of a start or of an actor.

A log handler of the host that raises there would end the start or the actor, and one that publishes would wait for itself. Our own
lines are guarded (`perdure.events.loggers`).
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["left_out"]

_here = threading.local()


@contextmanager
def left_out() -> Iterator[None]:
    """Log nothing of the two in this thread while the block runs."""
    _here.is_silent = True
    try:
        yield
    finally:
        _here.is_silent = False


def _passes(_record: logging.LogRecord) -> bool:
    return not getattr(_here, "is_silent", False)


for _name in ("pykka", "asyncio"):
    logging.getLogger(_name).addFilter(_passes)
