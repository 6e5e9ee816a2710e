"""Whose call it is: the context variable that tells a handler's code, wherever it runs, which worker waits for it.

Each call runs in a context of its own, a copy of the worker's; that in turn is a copy of the one in which the system was started.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.actors.execution.invocation import Caller

__all__ = ["CALLER"]

CALLER: ContextVar[Caller | None] = ContextVar("perdure.caller", default=None)
"""Of the worker whose handler runs here; None outside of handlers."""
