"""The child's end of a process handler: it runs one handler call at a time, and nothing of the system beside it.

It talks to its worker (`child_process`) over one socket with pickled tuples. The worker sends `("handler", pickled function,
levels)` once, which is answered by `("ready",)`, or by `("broken", ...)` where the handler cannot be loaded; and for each attempt
`("call", pickled (message, attributes))`. The child sends `("ask", method, args, kwargs)`, which is answered by
`("answer", ok, value)`; `("log", attributes of a record)`; and at the end `("done", pickled value)` or `("failed", pickled
exception, traceback, text, names of its classes)`. Only a parent and the child that it started speak this; nothing of it is stored.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import pickle
import resource
import signal
import sys
import threading
import traceback
from contextvars import copy_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.actors.execution.child_log import Forwarding, set_levels
from perdure.actors.execution.forks import FORKS, check_same_process
from perdure.actors.execution.pickling import CANCEL_SIGNAL, kind_name, pack, rebuilt, sendable
from perdure.actors.execution.returned import awaited, check_ran, is_awaitable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ParentConnection", "RemoteContext", "main", "start"]

PR_SET_PDEATHSIG = 1


class RemoteContext:
    """What a process handler sees of its message: as `perdure.Context`, but the parent answers each call."""

    def __init__(self, line: ParentConnection, attributes: Mapping[str, Any]) -> None:
        self._line = line
        self.__dict__.update(attributes)

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
        _, ok, value = self._line.ask(pack(("ask", method, args, kwargs)))
        if not ok:
            raise value
        return value


def _finished(handler: Any, message: Any, context: RemoteContext) -> Any:
    """Call the handler, and wait for what it returns where that can be awaited."""
    value = handler(message, context)
    return asyncio.run(awaited(value)) if is_awaitable(value) else check_ran(value)


def _failed(kind: str, error: BaseException) -> bytes:
    """Return the message that an attempt, or the start, has failed: with the exception, if that can be pickled."""
    story = "".join(traceback.format_exception(error))
    kinds = tuple(kind_name(kind) for kind in type(error).__mro__ if kind is not object)
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001 - the handler's exception is foreign code
        text = f"(no message: its __str__ raised {type(second).__name__})"
    return pack((kind, _picklable(error), story, text, kinds))


def _picklable(error: BaseException) -> bytes:
    """Return the pickled exception, of its own class: made again without its `__init__` where need be; or none."""
    state = {name: sendable(value) for name, value in vars(error).items()}
    again = (rebuilt, (type(error), tuple(map(sendable, error.args)), state))
    for made in (error, _Again(*again)):
        try:
            pickled = pack(made)
            if type(pickle.loads(pickled)) is type(error):  # noqa: S301 - our own bytes
                return pickled
        except Exception:  # noqa: BLE001, S112 - foreign code: some exceptions are pickled and cannot be read back
            continue
    return b""


class _Again:
    """Is pickled as a call."""

    def __init__(self, *call: Any) -> None:
        self._call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


class ParentConnection:
    """The socket to the parent, for all threads of this process: what is sent stays whole."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.RLock()
        self._asking = threading.Lock()

    def send(self, sent: bytes) -> None:
        """Send something that has no answer."""
        with self._sending:
            self._connection.send_bytes(sent)

    def ask(self, question: bytes) -> Any:
        """Send a question, and return its answer."""
        with self._asking:
            self.send(question)
            return pickle.loads(self._connection.recv_bytes())  # noqa: S301 - from the parent that started us

    def receive(self) -> tuple[Any, ...]:
        """Return the parent's next message."""
        received: tuple[Any, ...] = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - as above
        return received


def _die_with_parent() -> None:
    """Ask the kernel to end this process when the worker that started it ends: its result would be lost."""
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
    line = ParentConnection(Connection(fd))
    forwarding = Forwarding(line.send)
    logging.getLogger().addHandler(forwarding)
    handler: Any = None
    context = RemoteContext(line, {})
    forks = FORKS.count

    def cancel(_number: int, _frame: object) -> None:
        context.cancelled = True

    signal.signal(CANCEL_SIGNAL, cancel)
    while True:
        try:
            kind, body, *rest = line.receive()
        except (EOFError, OSError):
            return
        if kind == "handler":
            set_levels(rest[0])
            try:
                handler = pickle.loads(body)  # noqa: S301 - from the parent that started us
            except BaseException as error:  # noqa: BLE001 - whatever it is, no message can be handled here
                line.send(_failed("broken", error))
                return
            _limit_memory(memory_bytes)
            line.send(pickle.dumps(("ready",)))
            continue
        out_of_memory = False
        forwarding.begin()
        try:
            message, attributes = pickle.loads(body)  # noqa: S301 - as above
            context = RemoteContext(line, attributes)
            answer = _done(copy_context().run(_finished, handler, message, context))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this message's failure
            out_of_memory = isinstance(error, MemoryError)
            answer = _failed("failed", error)
        check_same_process(forks)
        forwarding.end()
        line.send(answer)
        if out_of_memory:
            return  # what took the memory may still hold it


def _done(value: Any) -> bytes:
    try:
        return pack(("done", pack(value)))
    except MemoryError:
        raise
    except Exception as error:
        msg = (
            f"the handler returned a {type(value).__qualname__}, which cannot be pickled, so its process cannot give it back "
            f"({error}); return plain data, or None"
        )
        raise TypeError(msg) from error


def start(fd: int, memory_bytes: int) -> None:
    """Run handler calls, and end the process after the last, even if a handler left threads behind."""
    main(fd, memory_bytes)
    os._exit(0)
