"""The loggers of all rooms, which are guarded: what a log handler of the host raises ends here.

A handler, filter or formatter runs in the thread that logs, which may be an actor's. Not pure, but here because all rooms log. What
the lines say is up to the callers.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["GuardedLogger", "log_errors_end_here"]

TO_CALLER = 3
"""Frames from `logging.Logger.log` up to the caller of a method below, which the record names as its place."""


class GuardedLogger:
    """Logs to the standard logger of a name, and never raises. Its methods are those of `logging.Logger`. Safe in any thread."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        """Return whether a line of that level would be logged."""
        return self._logger.isEnabledFor(level)

    def debug(self, text: str, *args: object, exc_info: Any = None) -> None:
        """Log a line at DEBUG."""
        self._emit(logging.DEBUG, text, args, exc_info)

    def info(self, text: str, *args: object) -> None:
        """Log a line at INFO."""
        self._emit(logging.INFO, text, args)

    def warning(self, text: str, *args: object, exc_info: Any = None) -> None:
        """Log a line at WARNING."""
        self._emit(logging.WARNING, text, args, exc_info)

    def error(self, text: str, *args: object, exc_info: Any = None) -> None:
        """Log a line at ERROR."""
        self._emit(logging.ERROR, text, args, exc_info)

    def exception(self, text: str, *args: object, exc_info: Any = True) -> None:
        """Log a line at ERROR with the traceback of the exception that is being handled."""
        self._emit(logging.ERROR, text, args, exc_info)

    def critical(self, text: str, *args: object, exc_info: Any = None) -> None:
        """Log a line at CRITICAL."""
        self._emit(logging.CRITICAL, text, args, exc_info)

    def log(self, level: int, text: str, *args: object, exc_info: Any = None, extra: Mapping[str, object] | None = None) -> None:
        """Log a line at a level."""
        self._emit(level, text, args, exc_info, extra)

    def _emit(
        self, level: int, text: str, args: tuple[object, ...], exc_info: Any = None, extra: Mapping[str, object] | None = None
    ) -> None:
        with log_errors_end_here():
            self._logger.log(level, text, *args, exc_info=exc_info, extra=extra, stacklevel=TO_CALLER)


@contextlib.contextmanager
def log_errors_end_here() -> Iterator[None]:
    """Report what the block raises on stderr, as `logging.Handler.handleError` does, and go on behind it.

    Asynchronous exceptions (an actor's kill, a timeout) pass, and so do KeyboardInterrupt and SystemExit in the main thread.
    """
    try:
        yield
    except Exception:  # noqa: BLE001 - foreign code
        _report()
    except (SystemExit, KeyboardInterrupt):
        if threading.current_thread() is threading.main_thread():
            raise
        _report()


def _report() -> None:
    if logging.raiseExceptions and sys.stderr is not None:
        with contextlib.suppress(Exception):
            sys.stderr.write("--- a log handler of the host has failed; perdure goes on ---\n")
            traceback.print_exc()
