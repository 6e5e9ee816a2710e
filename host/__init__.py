"""The front door of perdure: what users import. Everything else is behind it, in rooms of its own."""

from perdure.actors.clock import Clock, ManualClock, SystemClock
from perdure.actors.context import Batch, BatchItem, Context, Reject, Retry
from perdure.audit import Audit, Record
from perdure.consumer import Delivery
from perdure.dead_letters import DeadLetter
from perdure.events.backoff import Backoff, Exponential, Fixed, Linear
from perdure.events.errors import (
    Cancelled,
    DuplicateKey,
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
)
from perdure.metrics import HandlerInfo, Metrics
from perdure.middleware import Middleware
from perdure.options import Options
from perdure.outbox import Outbox, OutboxRelay
from perdure.payloads import CloudPickle, MessagePack, message
from perdure.recovery import Recovery
from perdure.schedules import Tick
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
    "HandlerFailed",
    "HandlerInfo",
    "HistoryDropped",
    "InvalidMessage",
    "LeaseLost",
    "Linear",
    "ManualClock",
    "MemoryStore",
    "MessagePack",
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
    "UnknownMessage",
    "UnknownMessageType",
    "message",
]
