"""Log records of a handler's process on their way to its parent, whose loggers and levels apply.

How they travel is in `child_process` and `child_main`; the system's own log lines are made elsewhere.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from perdure.actors.execution.pickling import pack, sendable
from perdure.events.loggers import GuardedLogger, log_errors_end_here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Forwarding", "levels", "replay", "set_levels"]

logger = GuardedLogger("perdure")

WAITING_MAX = 1_000
"""How many records may wait for the next call where threads log between two calls; the oldest beyond are dropped and counted."""
DISABLED = "disable"
"""The key of `logging.disable`'s level. No logger has it as its key: the root's is empty, and all others begin with a dot."""


def levels() -> dict[str, int]:
    """Return the level of every logger of this process that has one of its own."""
    root = logging.getLogger()
    found = {"": root.level, DISABLED: root.manager.disable}
    for name, known in list(root.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and known.level:
            found[f".{name}"] = known.level
    return found


def set_levels(given: Mapping[str, int]) -> None:
    """Set the loggers of this process to the levels of another's."""
    for name, level in given.items():
        if name == DISABLED:
            logging.disable(level)
        else:
            logging.getLogger(name[1:]).setLevel(level)


class Forwarding(logging.Handler):
    """Sends records to the parent while a call is under way, when the parent reads; between calls they wait, up to a bound."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._send = send
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self._dropped = 0
        self._under_way = False
        self._order = threading.RLock()

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, or keep it for the next call. What cannot be pickled of it goes as text."""
        try:
            sent = pack(("log", _plain(record)))
            with self._order:
                self._dropped += len(self._waiting) == WAITING_MAX
                self._waiting.append(sent)
                if self._under_way:
                    self._flush()
        except Exception:  # noqa: BLE001 - as every handler of `logging`: a record that cannot be sent is reported on stderr
            self.handleError(record)

    def begin(self) -> None:
        """Note that a call is under way: the parent reads."""
        with self._order:
            self._under_way = True
            dropped, self._dropped = self._dropped, 0
            self._flush()
        if dropped:
            logger.warning("%d log records of a handler's process were dropped: it logged too much between two messages", dropped)

    def end(self) -> None:
        """Note that the call is over: the parent reads no more."""
        with self._order:
            self._flush()
            self._under_way = False

    def _flush(self) -> None:
        while self._waiting:
            self._send(self._waiting.popleft())


def _plain(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record's attributes as another process can read them: with its text made, and its traceback as text."""
    attributes = dict(vars(record), msg=record.getMessage(), args=None, exc_info=None)
    if record.exc_info and not record.exc_text:
        attributes["exc_text"] = logging.Formatter().formatException(record.exc_info)
    return {name: value if type(value) in (str, int, float, type(None)) else sendable(value) for name, value in attributes.items()}


def replay(attributes: Mapping[str, Any]) -> None:
    """Handle a record of a child by the logger of its name here, if its level allows."""
    record = logging.makeLogRecord(attributes)
    target = logging.getLogger(record.name)
    if not target.isEnabledFor(record.levelno):
        return
    with log_errors_end_here():
        target.handle(record)
