"""The front door of perdure: all names that users import. The module of a name is imported when the name is first used (PEP 562).

- `system`, `options`, `middleware`, `config`, `connecting`: what a host begins with. `lifecycle`: a start and a stop.
- `publishing`, `payloads`: from a message object to an id. `handling`: handlers as the host declares them. `runtime`: one run.
- `processes`: other processes on one folder. `cluster`: many hosts. `outbox`: messages in the host's own transaction.
- `operations`: metrics, audit, dead letters, backups. `security`: rights. `telemetry`: spans and metrics for a host's own tools.
- `cli`: the command line. `console`: the pages in a browser. `integrations`: Django, Flask and the like. `demo`: `perdure demo`.
- `arguments`: checks of single arguments.

Not here: any code behind the names. `_MODULES` says which module defines each.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.actors.core.clock import Clock, ManualClock, SystemClock
    from perdure.actors.execution.child_process import ProcessDied
    from perdure.actors.execution.event_loop import LoopDied
    from perdure.actors.workers.context import Batch, BatchItem, Context, Reject, Retry
    from perdure.arguments.acting import acting_as
    from perdure.cluster.acts.bulk import BulkActs, CountedEverywhere
    from perdure.cluster.cluster import Cluster
    from perdure.cluster.partition_info import PartitionInfo
    from perdure.connecting import connect
    from perdure.events.errors import (
        Cancelled,
        DuplicateKey,
        FolderMoved,
        HandlerFailed,
        HistoryDropped,
        InvalidMessage,
        LeaseLost,
        NotAllowed,
        NotRunning,
        OwnershipLost,
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
    from perdure.events.handlers.backoff import Backoff, Exponential, Fixed, Linear
    from perdure.handling.handlers import Handlers
    from perdure.handling.manual_delivery import Delivery
    from perdure.handling.recurring.schedules import Tick
    from perdure.middleware import Middleware
    from perdure.operations.audit import Audit
    from perdure.operations.backups import backup, restore
    from perdure.operations.bulk.bulk_act import BulkAct
    from perdure.operations.bulk.counted import CountedLetters, CountedMessages
    from perdure.operations.dead_letter import DeadLetter
    from perdure.operations.exporting.export import Exported, export
    from perdure.operations.metrics import DeputyInfo, HandlerInfo, Metrics, ProcessInfo, Totals
    from perdure.operations.reading.acts import OperatorAct
    from perdure.operations.reading.record import Record
    from perdure.options import Options
    from perdure.outbox.sql_outbox import Outbox, OutboxRelay
    from perdure.payloads.codecs import MessagePack
    from perdure.payloads.returns import Returns
    from perdure.payloads.signed_pickle import CloudPickle
    from perdure.payloads.type_names import message
    from perdure.processes.client import Client
    from perdure.publishing.message_state import MessageState
    from perdure.runtime.recovery_report import Recovery
    from perdure.store import Backup, MemoryStore, Restored
    from perdure.store.postgres.postgres_store import PostgresStore
    from perdure.system import System

__all__ = [
    "Audit",
    "Backoff",
    "Backup",
    "Batch",
    "BatchItem",
    "BulkAct",
    "BulkActs",
    "Cancelled",
    "Client",
    "Clock",
    "CloudPickle",
    "Cluster",
    "Context",
    "CountedEverywhere",
    "CountedLetters",
    "CountedMessages",
    "DeadLetter",
    "Delivery",
    "DeputyInfo",
    "DuplicateKey",
    "Exponential",
    "Exported",
    "Fixed",
    "FolderMoved",
    "HandlerFailed",
    "HandlerInfo",
    "Handlers",
    "HistoryDropped",
    "InvalidMessage",
    "LeaseLost",
    "Linear",
    "LoopDied",
    "ManualClock",
    "MemoryStore",
    "MessagePack",
    "MessageState",
    "Metrics",
    "Middleware",
    "NotAllowed",
    "NotRunning",
    "OperatorAct",
    "Options",
    "Outbox",
    "OutboxRelay",
    "OwnershipLost",
    "PartitionInfo",
    "PayloadTooLarge",
    "PerdureError",
    "PostgresStore",
    "ProcessDied",
    "ProcessInfo",
    "PublishTimeout",
    "QueueFull",
    "Record",
    "Recovery",
    "Reject",
    "Restored",
    "Retry",
    "Returns",
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
    "acting_as",
    "backup",
    "connect",
    "export",
    "message",
    "restore",
]

_MODULES = {
    "actors.core.clock": ("Clock", "ManualClock", "SystemClock"),
    "actors.execution.child_process": ("ProcessDied",),
    "actors.execution.event_loop": ("LoopDied",),
    "actors.workers.context": ("Batch", "BatchItem", "Context", "Reject", "Retry"),
    "arguments.acting": ("acting_as",),
    "cluster.acts.bulk": ("BulkActs", "CountedEverywhere"),
    "cluster.cluster": ("Cluster",),
    "cluster.partition_info": ("PartitionInfo",),
    "operations.reading.acts": ("OperatorAct",),
    "operations.audit": ("Audit",),
    "operations.backups": ("backup", "restore"),
    "operations.bulk.bulk_act": ("BulkAct",),
    "operations.bulk.counted": ("CountedLetters", "CountedMessages"),
    "operations.exporting.export": ("Exported", "export"),
    "operations.reading.record": ("Record",),
    "handling.handlers": ("Handlers",),
    "handling.manual_delivery": ("Delivery",),
    "operations.dead_letters": ("DeadLetter",),
    "events.handlers.backoff": ("Backoff", "Exponential", "Fixed", "Linear"),
    "events.errors": (
        "Cancelled",
        "DuplicateKey",
        "FolderMoved",
        "HandlerFailed",
        "HistoryDropped",
        "InvalidMessage",
        "LeaseLost",
        "NotAllowed",
        "NotRunning",
        "OwnershipLost",
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
    "operations.metrics": ("DeputyInfo", "HandlerInfo", "Metrics", "ProcessInfo", "Totals"),
    "middleware": ("Middleware",),
    "options": ("Options",),
    "outbox.sql_outbox": ("Outbox", "OutboxRelay"),
    "payloads.codecs": ("MessagePack",),
    "payloads.type_names": ("message",),
    "payloads.returns": ("Returns",),
    "payloads.signed_pickle": ("CloudPickle",),
    "connecting": ("connect",),
    "processes.client": ("Client",),
    "runtime.recovery_report": ("Recovery",),
    "handling.recurring.schedules": ("Tick",),
    "publishing.message_state": ("MessageState",),
    "store": ("Backup", "MemoryStore", "Restored"),
    "store.postgres.postgres_store": ("PostgresStore",),
    "system": ("System",),
}
_MODULE_OF = {name: f"perdure.{module}" for module, names in _MODULES.items() for name in names}
_ROOMS = frozenset({"actors", "events", "store"})
_PACKAGES = frozenset({"console", "security", "telemetry"})
"""Packages of the front door that `import perdure` does not import."""


def __getattr__(name: str) -> Any:
    """Return a public name from its module, or a room with all modules of it that the front door uses."""
    if name in _ROOMS:
        import_module("perdure.system")
        return import_module(f"perdure.{name}")
    if name in _PACKAGES:
        return import_module(f"perdure.{name}")
    if name not in _MODULE_OF:
        msg = f"module 'perdure' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        return _refusal(name, error)
    return value


def _refusal(name: str, missing: ModuleNotFoundError) -> Any:
    """Return what stands for a name whose driver is not installed, so that `from perdure import *` works without it."""

    def refuse(*_: Any, **__: Any) -> Any:
        msg = f"perdure.{name} needs {missing.name}: pip install 'perdure[postgres]'"
        raise ImportError(msg) from missing

    return refuse


def __dir__() -> list[str]:
    """Return the public names, whether they were used or not."""
    return sorted({*globals(), *__all__})
