"""The one tree of errors that perdure raises on purpose; each says what happened and what to do next.

The rules raise some of them, so they live in the lowest room. `perdure` exports all of them.
"""

from __future__ import annotations

from typing import TypeVar

from perdure.events.public_names import public

__all__ = [
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
    "another",
    "as_refusal",
]


E = TypeVar("E", bound=BaseException)


@public
class PerdureError(Exception):
    """Root of all errors that perdure raises on purpose."""


@public
class NotRunning(PerdureError):
    """The system takes no messages: not started, stopped, or given up (then `__cause__` says why)."""


@public
class QueueFull(PerdureError):
    """The backlog stayed at its bound until the publish timeout. Nothing was published."""


@public
class InvalidMessage(PerdureError, ValueError):
    """A message or one of its options cannot be accepted; names the field. Nothing was published."""


@public
class PayloadTooLarge(InvalidMessage):
    """The encoded message exceeds the limit of one message or one atomic commit. Nothing was published."""


@public
class UnknownMessageType(InvalidMessage, TypeError):
    """The type cannot be named so that a later run finds it again, or its name is not known here."""


@public
class UnknownMessage(PerdureError, KeyError):
    """The operation needs a message with that id, in a certain place or status, and there is none."""

    def __str__(self) -> str:
        """Return the message; `KeyError` would quote it."""
        return str(self.args[0]) if self.args else ""


@public
class DuplicateKey(PerdureError):
    """A live message already holds this deduplication key; `live_id` names it. Nothing was published."""

    def __init__(self, message: str, live_id: str) -> None:
        super().__init__(message, live_id)
        self.live_id = live_id

    def __str__(self) -> str:
        """Return the message alone; `live_id` is an attribute."""
        return str(self.args[0])


@public
class HandlerFailed(PerdureError):
    """The awaited message ended without a result: its handler failed for the last time, or it was never handled."""

    def __init__(self, message: str, id: str = "", exception: str = "", error: str = "") -> None:
        super().__init__(message, id, exception, error)
        self.id = id
        self.exception = exception
        """The type of the last exception, qualified."""
        self.error = error
        """The last exception's message."""

    def __str__(self) -> str:
        """Return the message alone; the parts are attributes."""
        return str(self.args[0])


@public
class Cancelled(HandlerFailed):
    """The awaited message was cancelled."""


@public
class LeaseLost(PerdureError):
    """The delivery is no longer this holder's: its lease expired, it was settled, or a later attempt has begun."""


@public
class NotAllowed(PerdureError):
    """The principal lacks a right: the system's `authorize` did not allow it. Nothing was changed."""

    def __init__(self, message: str, principal: str = "", action: str = "", type: str = "") -> None:
        super().__init__(message, principal, action, type)
        self.principal = principal
        self.action = action
        """The right that it takes."""
        self.type = type
        """The message type that it is about; empty for all, and for one that the principal may not look at."""

    def __str__(self) -> str:
        """Return the message alone; the parts are attributes."""
        return str(self.args[0])


@public
class StoreLocked(PerdureError):
    """Another live process owns the data folder; `pid` is its process id, where it could be read."""

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message, pid)
        self.pid = pid

    def __str__(self) -> str:
        """Return the message alone; `pid` is an attribute."""
        return str(self.args[0])


@public
class StoreUnavailable(PerdureError):
    """The store could not be written or opened (disk full, I/O error, permissions). Nothing was published."""


@public
class FolderMoved(StoreUnavailable):
    """The data folder, or a file in it, is no longer under its name: moved, deleted, or replaced while a process used it.

    The system stops at once. The error says where the acknowledged messages are. Nothing was published by a refused request.
    """


@public
class OwnershipLost(StoreUnavailable):
    """Another process has taken over the log: this one was suspended or cut off for longer than its lease.

    The system stops at once and may be started again, to stand by. Nothing was published by a refused request.
    """


@public
class HistoryDropped(StoreUnavailable):
    """The history asked for was dropped or archived (`Options.history`): it lies before the first event of the log."""


@public
class StoreCorrupt(PerdureError):
    """Committed history is damaged; names file, offset (bytes) and sequence. Audit still opens the folder."""

    def __init__(self, message: str, file: str = "", offset: int = -1, seq: int = -1) -> None:
        super().__init__(message, file, offset, seq)
        self.file = file
        self.offset = offset
        self.seq = seq

    def __str__(self) -> str:
        """Return the message alone; the place is in the attributes."""
        return str(self.args[0])


@public
class PublishTimeout(PerdureError, TimeoutError):
    """No answer came in time: the message may or may not be published. To settle it, publish again with these `ids`."""

    def __init__(self, message: str, ids: tuple[str, ...] = ()) -> None:
        super().__init__(message, ids)
        self.ids = ids

    def __str__(self) -> str:
        """Return the message alone; `ids` is an attribute."""
        return str(self.args[0])


@public
class WouldDeadlock(PerdureError, RuntimeError):
    """A waiting call was made in a thread that its own answer needs, so the wait could never end. Nothing was done."""


def another(error: E) -> E:
    """Return a copy of an error with its cause, so that the tracebacks of several receivers do not mix."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy


def as_refusal(error: Exception) -> PerdureError:
    """Return the error for a request on which a rule raised: the same error if it was on purpose, else one that reports a fault."""
    if isinstance(error, PerdureError):
        return error
    refusal = PerdureError(
        f"the request could not be decided, and changed nothing: {error!r}. This is a bug in perdure; please report it."
    )
    refusal.__cause__ = error
    return refusal
