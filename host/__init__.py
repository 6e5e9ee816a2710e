"""The front door of perdure: what users import. Everything else is behind it, in rooms of its own.

A name's module is imported when the name is first used (PEP 562), so that `import perdure` costs a few milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.actors.clock import Clock, ManualClock, SystemClock
    from perdure.actors.context import Batch, BatchItem, Context, Reject, Retry
    from perdure.audit import Audit, Record
    from perdure.consumer import Delivery
    from perdure.dead_letters import DeadLetter
    from perdure.events.backoff import Backoff, Exponential, Fixed, Linear
    from perdure.events.errors import (
        Cancelled,
        DuplicateKey,
        FolderMoved,
        HandlerFailed,
        HistoryDropped,
        InvalidMessage,
        LeaseLost,
        NotRunning,
        PayloadTooLarge,
        PerdureError,
        PublishTimeout,
        QueueFull,
        StoreCorrupt,
        StoreLocked,
        StoreUnavailable,
        UnknownMessage,
        UnknownMessageType,
        WouldDeadlock,
    )
    from perdure.metrics import HandlerInfo, Metrics, Totals
    from perdure.middleware import Middleware
    from perdure.options import Options
    from perdure.outbox import Outbox, OutboxRelay
    from perdure.payloads import MessagePack, message
    from perdure.pickling import CloudPickle
    from perdure.recovery import Recovery
    from perdure.schedules import Tick
    from perdure.standing import MessageState
    from perdure.store import MemoryStore
    from perdure.system import System

__all__ = [
    "Audit",
    "Backoff",
    "Batch",
    "BatchItem",
    "Cancelled",
    "Clock",
    "CloudPickle",
    "Context",
    "DeadLetter",
    "Delivery",
    "DuplicateKey",
    "Exponential",
    "Fixed",
    "FolderMoved",
    "HandlerFailed",
    "HandlerInfo",
    "HistoryDropped",
    "InvalidMessage",
    "LeaseLost",
    "Linear",
    "ManualClock",
    "MemoryStore",
    "MessagePack",
    "MessageState",
    "Metrics",
    "Middleware",
    "NotRunning",
    "Options",
    "Outbox",
    "OutboxRelay",
    "PayloadTooLarge",
    "PerdureError",
    "PublishTimeout",
    "QueueFull",
    "Record",
    "Recovery",
    "Reject",
    "Retry",
    "StoreCorrupt",
    "StoreLocked",
    "StoreUnavailable",
    "System",
    "SystemClock",
    "Tick",
    "Totals",
    "UnknownMessage",
    "UnknownMessageType",
    "WouldDeadlock",
    "message",
]

_MODULES = {
    "actors.clock": ("Clock", "ManualClock", "SystemClock"),
    "actors.context": ("Batch", "BatchItem", "Context", "Reject", "Retry"),
    "audit": ("Audit", "Record"),
    "consumer": ("Delivery",),
    "dead_letters": ("DeadLetter",),
    "events.backoff": ("Backoff", "Exponential", "Fixed", "Linear"),
    "events.errors": (
        "Cancelled",
        "DuplicateKey",
        "FolderMoved",
        "HandlerFailed",
        "HistoryDropped",
        "InvalidMessage",
        "LeaseLost",
        "NotRunning",
        "PayloadTooLarge",
        "PerdureError",
        "PublishTimeout",
        "QueueFull",
        "StoreCorrupt",
        "StoreLocked",
        "StoreUnavailable",
        "UnknownMessage",
        "UnknownMessageType",
        "WouldDeadlock",
    ),
    "metrics": ("HandlerInfo", "Metrics", "Totals"),
    "middleware": ("Middleware",),
    "options": ("Options",),
    "outbox": ("Outbox", "OutboxRelay"),
    "payloads": ("MessagePack", "message"),
    "pickling": ("CloudPickle",),
    "recovery": ("Recovery",),
    "schedules": ("Tick",),
    "standing": ("MessageState",),
    "store": ("MemoryStore",),
    "system": ("System",),
}
_MODULE_OF = {name: f"perdure.{module}" for module, names in _MODULES.items() for name in names}
_ROOMS = frozenset({"actors", "events", "store"})


def __getattr__(name: str) -> Any:
    """Import what a public name stands for; a room comes with all that the front door uses of it."""
    if name in _ROOMS:
        import_module("perdure.system")
        return import_module(f"perdure.{name}")
    if name not in _MODULE_OF:
        msg = f"module 'perdure' has no attribute {name!r}"
        raise AttributeError(msg)
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    """List the public names, whether they were used yet or not."""
    return sorted({*globals(), *__all__})
