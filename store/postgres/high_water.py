"""Up to which event this process knows each partition's log to be durable, whatever process owns it now.

A database that fails over to a standby which lagged behind, or is restored, holds less. An owner that finds less refuses to go on:
so each process that has seen the log is a witness. A process that has just begun knows nothing; starting one is how to say that the
loss is accepted.
"""

from __future__ import annotations

import threading

__all__ = ["forget", "known", "note"]

_marks: dict[str, tuple[bytes, int]] = {}
_lock = threading.Lock()


def note(address: str, store_id: bytes, seq: int) -> None:
    """Note that all events up to `seq` of the log with this id are durable. In any thread."""
    with _lock:
        known_id, mark = _marks.get(address, (store_id, 0))
        _marks[address] = (store_id, max(seq, mark) if known_id == store_id else seq)


def known(address: str, store_id: bytes) -> int:
    """Return up to which event the log with this id is known to be durable; 0 where nothing is known of it. In any thread."""
    with _lock:
        known_id, mark = _marks.get(address, (b"", 0))
    return mark if known_id == store_id else 0


def forget(address: str) -> None:
    """Accept that a log holds less than was known. In any thread."""
    with _lock:
        _marks.pop(address, None)
