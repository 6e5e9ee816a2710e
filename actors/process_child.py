"""The other side of a process handler: a child that runs one handler call at a time, and nothing of the system beside it.

Started as `python -m perdure.actors.process_child FD`. Talks to its worker (see `process`) over one socket with pickled tuples:
in come `("handler", pickled function)` once, answered by `("ready",)`, and `("call", pickled (message, facts))` for each
attempt; out go `("ask", method, args, kwargs)`, which is answered by `("answer", ok, value)`, and at the end
`("done", pickled value)` or `("failed", pickled exception, traceback)`. Only a parent and the child it started speak this;
nothing of it is stored.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import pickle
import resource
import signal
import sys
import traceback
from contextvars import copy_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.actors.returned import awaited, check_ran, is_awaitable
from perdure.actors.shipping import CANCEL_SIGNAL, pack

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RemoteContext", "main"]

PR_SET_PDEATHSIG = 1


class RemoteContext:
    """What a process handler sees of its message: as `perdure.Context`, each call answered by the parent."""

    def __init__(self, connection: Connection, facts: Mapping[str, Any]) -> None:
        self._connection = connection
        self.__dict__.update(facts)

    cancelled = False
    """Its message was cancelled: it is killed soon. (For any other reason it is killed at once.)"""

    def publish(self, message: Any, **options: Any) -> str:
        """See `Context.publish`."""
        return str(self._ask("publish", message, **options))

    def heartbeat(self, percent: float, note: str = "") -> None:
        """See `Context.heartbeat`."""
        self._ask("heartbeat", percent, note)

    def extend(self, seconds: float) -> None:
        """See `Context.extend`."""
        self._ask("extend", seconds)

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self._connection.send_bytes(pack(("ask", method, args, kwargs)))
        _, ok, value = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - from the parent that started us
        if not ok:
            raise value
        return value


def _finished(handler: Any, message: Any, context: RemoteContext) -> Any:
    """Call the handler, and wait for what it returns where that can be awaited."""
    value = handler(message, context)
    return asyncio.run(awaited(value)) if is_awaitable(value) else check_ran(value)


def _failed(error: BaseException) -> bytes:
    story = "".join(traceback.format_exception(error))
    try:
        pickled = pack(error)
        pickle.loads(pickled)  # noqa: S301 - our own: some exceptions are pickled and cannot be read back
    except Exception:  # noqa: BLE001 - the exception is foreign code; its story is told in any case
        pickled = pack(RuntimeError(f"{type(error).__qualname__}: {error}"))
    return pack(("failed", pickled, story))


def _die_with_parent() -> None:
    """Have the kernel end this process when the worker that started it ends: nobody would take its result."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_memory(memory_bytes: int) -> None:
    """Bound what this process may take from now on: its data, on top of what the interpreter and the handler's modules have.

    Address space would be the wrong measure: Python and its libraries map far more of it than they use.
    """
    if memory_bytes and sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        taken = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (taken + memory_bytes, taken + memory_bytes))


def main(fd: int, memory_bytes: int) -> None:
    """Run handler calls until the other side closes the socket."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops us in good order
    connection = Connection(fd)
    handler: Any = None
    context = RemoteContext(connection, {})

    def cancel(_number: int, _frame: object) -> None:
        context.cancelled = True

    signal.signal(CANCEL_SIGNAL, cancel)
    while True:
        try:
            kind, body = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the parent that started us
        except (EOFError, OSError):
            return
        out_of_memory = False
        try:
            if kind == "handler":
                handler = pickle.loads(body)  # noqa: S301 - as above
                _limit_memory(memory_bytes)
                connection.send_bytes(pickle.dumps(("ready",)))
                continue
            message, facts = pickle.loads(body)  # noqa: S301 - as above
            context = RemoteContext(connection, facts)
            answer = pack(("done", pack(copy_context().run(_finished, handler, message, context))))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this message's failure
            out_of_memory = isinstance(error, MemoryError)
            answer = _failed(error)
        connection.send_bytes(answer)
        if out_of_memory:
            return  # what took the memory may still hold it


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    os._exit(0)  # threads that a handler left behind do not keep it
