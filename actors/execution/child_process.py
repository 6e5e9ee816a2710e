"""A process for handler calls that need a processor of their own, or that can only be stopped by killing them.

One child for each worker, started at its first message and used again; what runs in it is `child_main`. No pool and no
queue is needed: the workers are those already. (Pools of the libraries tried start children that import the host's main
module, share one queue, and cannot ask the parent anything.)
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

from perdure.actors.core.threads.thread_start import begin_thread
from perdure.actors.execution.child_log import levels, replay
from perdure.actors.execution.pickling import CANCEL_SIGNAL, ProcessError, pack
from perdure.events.errors import InvalidMessage, PerdureError
from perdure.events.public_names import public

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CANCEL_GRACE_S", "HandlerProcess", "ProcessDied", "packed_handler"]


CANCEL_GRACE_S = 1.0
"""How long a handler whose message was cancelled may go on, to see that and tidy up, before its child is killed."""
BOOT = (
    "import sys; sys.path[:] = sys.argv[3:]; from perdure.actors.execution.child_main import start; start(*map(int, sys.argv[1:3]))"
)
"""What a child runs: before anything is imported, it has its parent's import path, and nothing of its own."""
START_MAX_S = 30.0
"""How long a worker waits for a child that starts, before the time of its message begins to count all the same."""


@public
class ProcessDied(PerdureError):
    """The handler's process ended under it: killed, crashed, or out of memory. Only this message's attempt has failed."""


class Attempt(Protocol):
    """What is needed of the context of an attempt. Its other methods are called by the names that the child sends."""

    @property
    def cancelled(self) -> bool:
        """The outcome will not be taken."""

    def for_child(self) -> dict[str, Any]:
        """Return what the child may know of this attempt."""


class HandlerProcess:
    """One child. `call` belongs to one worker; `kill` and what `stopper` gives may be called in any thread."""

    def __init__(self, function: Callable[[Any, Any], Any], memory_bytes: int | None, label: str) -> None:
        self.function = function
        self._label = label
        self._memory_bytes = memory_bytes or 0
        self._child: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        """Held while a call ends, and while one is stopped: a child is never killed under another call than was meant."""
        self._broken: tuple[Any, ...] | None = None
        """The child's message that it could not load the handler."""
        self._number = 0
        """Of the call under way, or of the next."""
        self._killed = False
        """The call under way was stopped."""

    def _start(self) -> Connection:
        handler = pickle.dumps(("handler", packed_handler(self.function, self._label), levels()))
        ours, theirs = socket.socketpair()
        with theirs:
            numbers = (str(theirs.fileno()), str(self._memory_bytes))
            command = [sys.executable, "-P", "-c", BOOT, *numbers, *_import_path()]
            self._child = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)  # noqa: S603 - this interpreter, this package
        self._connection, self._is_ready, self._broken = Connection(ours.detach()), False, None
        self._connection.send_bytes(handler)
        return self._connection

    def ensure_started(self) -> None:
        """Start the child if need be, and wait until it is ready; its start counts against no message's timeout."""
        try:
            connection = self._connection or self._start()
            until_s = time.monotonic() + START_MAX_S
            while not self._is_ready and connection.poll(max(0.0, until_s - time.monotonic())):
                self._receive(connection)
        except Exception:  # noqa: BLE001 - the call starts another child, and raises what is wrong
            self.close()

    def _receive(self, connection: Connection) -> tuple[Any, ...]:
        """Return the child's next message, after log records and its greeting are handled."""
        reply: tuple[Any, ...] = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the child we started
        if reply[0] == "log":
            replay(reply[1])
        elif reply[0] == "ready":
            self._is_ready = True
        elif reply[0] == "broken":
            self._is_ready, self._broken = True, reply
        return reply

    def stopper(self) -> Callable[[float], None]:
        """Return a function that stops the next call, and only that one, after a grace period in seconds.

        It may be called in any thread. The handler sees `ctx.cancelled`; with a grace of 0 its child is killed at once.
        """
        number = self._number
        return lambda grace_s: self._stop(number, grace_s)

    def _stop(self, number: int, grace_s: float) -> None:
        with self._lock:
            child = self._child
            if number != self._number or child is None:
                return
            if grace_s <= 0:
                self._killed = True
                child.kill()
                return
            child.send_signal(CANCEL_SIGNAL)
        timer = threading.Timer(grace_s, self._stop, (number, 0.0))
        timer.daemon = True
        try:
            begin_thread(timer)
        except RuntimeError:  # no thread can be had to wait for it
            self._stop(number, 0.0)

    def call(self, message: Any, context: Attempt) -> Any:
        """Run one attempt in the child; return what the handler returned, or raise what it raised.

        Raises:
            ProcessDied: the child ended first.
        """
        call = pickle.dumps(("call", pack((message, context.for_child()))))
        try:
            kind, *rest = self._exchange(call, context)
        except (EOFError, OSError) as error:
            raise ProcessDied(self._ending()) from error
        except BaseException:
            self.close()  # it waits for an answer, and would take the next message for that
            raise
        finally:
            with self._lock:
                self._number += 1
                killed, self._killed = self._killed, False
        if killed:
            self.close()  # too late for this message, and the next one is not to find it dying
        if kind == "done":
            return self._value(rest[0])
        failure = _failure(*rest)
        if kind == "broken":
            failure.add_note(f"The process of the handler {self._label} could not load it; it has this process's import path.")
        if kind == "broken" or isinstance(failure, MemoryError):
            self.close()
        raise failure

    def _value(self, pickled: bytes) -> Any:
        try:
            return pickle.loads(pickled)  # noqa: S301 - from the child we started
        except Exception as error:
            msg = f"what {self._label} returned in its process cannot be read here ({error!r}); return plain data, or None"
            raise TypeError(msg) from error

    def _exchange(self, call: bytes, context: Attempt) -> tuple[Any, ...]:
        """Send a call, answer what its handler asks, and return the child's last message."""
        connection = self._connection or self._start()
        if self._broken is not None:
            return self._broken
        if context.cancelled:
            self.kill()  # the thread that stopped this call may have found no child to kill yet
        connection.send_bytes(call)
        while True:
            reply = self._receive(connection)
            if reply[0] == "ask":
                connection.send_bytes(self._answer(context, *reply[1:]))
            elif reply[0] not in ("ready", "log"):
                return reply

    def _answer(self, context: Attempt, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        try:
            answer = ("answer", True, getattr(context, method)(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the child asked, so the error is its answer
            answer = ("answer", False, error)
        return pack(answer)

    def _ending(self) -> str:
        child, self._child = self._child, None
        self._drop_connection()
        if child is None:
            return "the handler's process was ended"
        child.kill()
        status = child.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return f"the handler's process {how} while it had this message"

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def kill(self) -> None:
        """Kill the child, whatever it does; the next call starts another."""
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End the child and free what it took."""
        child, self._child = self._child, None
        self._drop_connection()
        if child is not None:
            child.kill()
            child.wait()


def packed_handler(function: Callable[[Any, Any], Any], label: str) -> bytes:
    """Return a pickled process handler.

    Raises:
        InvalidMessage: it cannot be pickled; names it, and what to do.
    """
    try:
        return pack(function)
    except Exception as error:
        msg = (
            f"handler: {label} cannot be pickled, so no process can run it ({type(error).__qualname__}: {error}). Define it at the "
            "top level of a module, and make what it uses (connections, locks, open files) inside it, once in each process."
        )
        raise InvalidMessage(msg) from error


def _import_path() -> list[str]:
    """Return this process's import path for a child; the working directory, where it is meant by '', comes last there.

    A child that looks in the working directory first would run any file there that has a module's name.
    """
    path = [entry for entry in sys.path if isinstance(entry, str) and entry]
    return path if len(path) == len(sys.path) or os.getcwd() in path else [*path, os.getcwd()]  # noqa: PTH109 - text, as in the path


def _failure(pickled: bytes, story: str, text: str, kinds: tuple[str, ...]) -> BaseException:
    """Return the exception that a child reported: itself, or a `ProcessError` if it cannot be read here."""
    failure: Any = None
    if pickled:
        try:
            failure = pickle.loads(pickled)  # noqa: S301 - from the child we started
        except Exception:  # noqa: BLE001 - its traceback is added in any case
            failure = None
    reported: BaseException = failure if isinstance(failure, BaseException) else ProcessError(text, kinds)
    reported.add_note(f"In the handler's process:\n{story}")
    return reported
