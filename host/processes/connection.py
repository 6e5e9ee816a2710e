"""The way from a client to the owner of its folder: one socket, one thread, and the requests that have no answer yet.

To a client, the owner is an actor that may die: a request stays among the `PendingRequests` until it is answered, is sent again
under the same key to the next owner, and counts once. What is asked, and what an answer means, is in `client`.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from perdure.actors.core.current_actor import CURRENT, begin
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.sessions.bell import Bell, Silence
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.session import REQUESTS_MAX
from perdure.actors.sessions.sockets import SOCKET_NAME, connect_to, peer_of
from perdure.actors.sessions.wire import PROTOCOL, Assembler, BadFrame, Kind, pack
from perdure.events.commands import Publish
from perdure.events.errors import NotRunning, PayloadTooLarge, PerdureError, PublishTimeout, QueueFull
from perdure.store.disk.folder_lock import live_owner

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from perdure.actors.requests.pending import Request

__all__ = ["Connection"]

logger = logging.getLogger("perdure")

PAUSE_FIRST_S, PAUSE_MAX_S = 0.005, 0.2
"""Between two tries to reach an owner; doubled in between."""
LOOK_S = 0.05
"""How often deadlines are looked at."""
IDLE_S = 0.25
"""The same, while nothing was asked when the thread looked last."""
PING_S = 1.0
"""After so long without a word of the owner, while something is asked, it is asked whether it is alive."""
READ_BYTES = 256 << 10
BODY_BYTES_MAX = 64 << 20
"""Bytes of one request: more than one commit takes."""
ASK_BYTES = 1 << 20
"""Requests are gathered into one frame up to about this size."""


class _NoActor:
    """What is known of the connection's thread as if it was an actor's: nothing that waits for an answer may be called in it."""

    name = "connection"
    runs_handlers = False
    in_callback = False


class Connection:
    """Requests in any thread; one thread of its own sends them and gives them their answers.

    Args:
        folder: the owner's.
        timeout_s: how long a request waits for an owner that takes it, and for a word of one that has it.
        name: what the owner's log calls this process.
        on_facts: called in the connection's thread with what the owner says of itself, whenever that changes.
    """

    def __init__(self, folder: Path, timeout_s: float, name: str, on_facts: Callable[[dict[str, Any]], None]) -> None:
        self.folder = folder
        self.timeout_s = timeout_s
        self._name = name
        self._on_facts = on_facts
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.pending = PendingRequests(self._tell)
        self.welcomed = threading.Event()
        """An owner has said what a request must know of it."""
        self.pid: int | None = None
        """The process that answers, or listens and does not."""
        self._queue: deque[Request] = deque()
        self._asked_s: dict[int, float] = {}
        self._sent: set[int] = set()
        """The keys of what this owner was sent and has not answered."""
        self._heard: Bell | None = Bell()
        self._bell: Bell | Silence = self._heard
        self._selector = selectors.PollSelector()  # no state in the kernel that a fork would share
        self._selector.register(self._heard, selectors.EVENT_READ)
        self._sock: socket.socket | None = None
        self._is_up = False
        self._frames = Assembler()
        self._out: deque[memoryview] = deque()
        self._heard_s = self._pinged_s = time.monotonic()
        self._last_error = ""
        """Why there is no owner."""
        self._refusal = ""
        """What the owner said instead of a welcome."""
        self._pause_s = PAUSE_FIRST_S
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._sending = threading.Lock()
        """Held while frames are made and written, and while the socket changes. Only the connection's thread waits for it."""

    # --- in any thread -----------------------------------------------------------------------------------------------------

    def _tell(self, _target: str, request: Request) -> None:
        self._asked_s[request.key] = time.monotonic()
        self._queue.append(request)
        if self._thread is None:
            self.start()
        if self._sent or not self._is_sent_at_once():
            self._bell.ring()

    def _is_sent_at_once(self) -> bool:
        """Send what is to be asked in this thread, without waiting; False where that is left to the connection's own thread."""
        if not self._is_up or not self._sending.acquire(blocking=False):
            return False
        try:
            if not self._is_up:
                return False
            with contextlib.suppress(OSError):  # the connection's thread sees it too, and looks for another owner
                self._gather()
                self._write_out()
            return not self._out and not self._queue
        finally:
            self._sending.release()

    def start(self) -> None:
        """Begin to look for an owner, unless that has begun."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_run, args=(weakref.ref(self), self._heard), name="perdure-client", daemon=True
                )
                begin(self._thread)

    def close(self, wait_s: float, why: NotRunning) -> None:
        """Wait for what is under way, then refuse what is left, and let the owner go."""
        until_s = time.monotonic() + wait_s
        self.pending.closed = self.pending.closed or why
        thread = self._thread
        while self.pending.under_way > 0 and time.monotonic() < until_s and thread is not None and thread.is_alive():
            time.sleep(0.002)
        self._is_closing = True
        self._bell.ring()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        self.pending.abandon(why)
        self._hang_up("the client was closed")
        self._selector.close()
        self._bell, self._heard = Silence(), None

    def discard_after_fork(self, why: NotRunning) -> None:
        """In a forked child: fail what was the parent's, close the copy of its socket, and begin anew."""
        self.pending.discard_after_fork(why)
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()
        if not self._is_closing:
            self._begin_anew()

    def no_owner(self) -> NotRunning:
        """Give the error of a request that no owner has taken in time."""
        return NotRunning(f"no process took the request within {self.timeout_s:g} s: {self._why()}")

    def _why(self) -> str:
        if self._refusal:
            whose = f"process {self.pid}" if self.pid else "a process of another pid namespace"
            return f"{whose}, which owns the folder {self.folder}, refuses: {self._refusal}"
        if self._sock is not None or self._is_up:
            whose, pid = (f"process {self.pid}", self.pid) if self.pid else ("a process of another pid namespace", "PID")
            return (
                f"{whose} owns the folder {self.folder} and does not answer. It is stopped (`ps -o stat= -p {pid}` says T; "
                f"`kill -CONT {pid}` lets it go on), still recovers a long log, or has no time left for other threads."
            )
        owner = live_owner(self.folder)
        if owner is not None:
            return (
                f"process {owner} owns the folder {self.folder}, and does not listen there: start it with "
                f"`perdure.System(folder, shared=True)`. ({self._last_error})"
            )
        return (
            f"no process owns the folder {self.folder} ({self._last_error}). Start one with `perdure.System({str(self.folder)!r}, "
            "shared=True)`, whose handlers then take what clients publish."
        )

    # --- the thread --------------------------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Do what there is to do, waiting a moment at most; False once it is over."""
        if self._is_closing:
            return False
        if self._sock is None:
            self._reach()
        for key, events in self._selector.select(self._patience_s()):
            if key.fileobj is self._sock:
                self._guarded(events)
        if self._heard is not None:
            self._heard.hear()
        if self._sock is not None:
            self._guarded(0)
        self._expire()
        return True

    def _patience_s(self) -> float:
        return LOOK_S if self.pending.outstanding or not self._is_up else IDLE_S

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold `_sending`; anew where a thread that was killed has kept it."""
        lock = self._sending
        if not lock.acquire(timeout=1.0):
            lock = self._sending = threading.Lock()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _reach(self) -> None:
        """Connect, and say hello."""
        if self._refusal:
            self._pause()
        try:
            sock = connect_to(self.folder)
        except OSError as error:
            self._refusal, self._last_error = "", f"{self.folder / SOCKET_NAME}: {error.strerror or error}"
            self._pause()
            return
        self.pid = peer_of(sock)[0] or None
        self._sock = sock
        self._frames = Assembler()
        self._out.clear()
        self._out.append(memoryview(pack(Kind.HELLO, PROTOCOL, self._name)))
        self._selector.register(sock, selectors.EVENT_READ)

    def _pause(self) -> None:
        time.sleep(self._pause_s)
        self._pause_s = min(PAUSE_MAX_S, 2 * self._pause_s)

    def _hang_up(self, why: str) -> None:
        """The owner is gone, or this connection to it is."""
        with self._alone():
            sock, self._sock = self._sock, None
            self._is_up = False
            self._last_error = why
            if sock is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(sock)
                sock.close()

    def _guarded(self, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                self._read()
            with self._alone():
                if self._is_up:
                    self._gather()
                    self._ping()
                self._write()
        except (OSError, ValueError, TypeError, KeyError) as error:  # what came is no frame, or none of this version
            self._hang_up(str(error) or repr(error))

    def _read(self) -> None:
        assert self._sock is not None  # noqa: S101 - its caller has looked
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            msg = "the owner closed the connection"
            raise ConnectionResetError(msg)
        for kind, elements in self._frames.feed(data):
            self._take(kind, elements)
        if self._is_up:
            self._heard_s = time.monotonic()

    def _take(self, kind: Kind, elements: list[Any]) -> None:
        match kind, elements:
            case Kind.ANSWER, rows:
                for key, body in rows:
                    self._answered(key, OBJECTS.object(body))
            case Kind.WELCOME, [int(), dict() as facts]:
                try:
                    self._on_facts(facts)
                except ValueError as error:
                    self._refusal = str(error)
                    raise
                if not self._is_up:
                    self._begin()
            case Kind.BYE, [bytes(body)]:
                self._refusal = str(OBJECTS.object(body))
                raise ConnectionResetError(self._refusal)
            case Kind.PONG, _:
                pass
            case _:
                msg = f"a {kind.name} frame that is none"
                raise BadFrame(msg)

    def _begin(self) -> None:
        """Another owner, or this one again: it is sent all that has no answer, in the order in which it was asked."""
        with self._alone():
            self._is_up = True
            self._refusal = ""
            self._pause_s = PAUSE_FIRST_S
            self._sent.clear()
            self._asked_s = {key: at_s for key, at_s in list(self._asked_s.items()) if key in self.pending.outstanding}
            self._queue.clear()  # first: what is entered from now on is in the queue, what was before is outstanding
            again = sorted(self.pending.outstanding.values(), key=_key_of)
            self._queue.extendleft(reversed(again))
        self.welcomed.set()

    def _answered(self, key: int, value: Any) -> None:
        self._sent.discard(key)
        request = self.pending.outstanding.get(key)
        if request is None:
            self._asked_s.pop(key, None)
            return
        if isinstance(value, QueueFull) and len(pieces := self.pending.split(request)) > 1:
            for piece in pieces:  # there is room for some of them, perhaps
                self._tell("", piece)
        elif isinstance(value, BaseException):
            self.pending.refuse(request, value)
        else:
            self.pending.settle(request, value)
        self._asked_s.pop(key, None)

    def _gather(self) -> None:
        """Word the frames of what is to be asked."""
        rows: list[Any] = []
        size = 0
        while self._queue and len(self._sent) < REQUESTS_MAX and not self._out:
            request = self._queue.popleft()
            if request.key not in self.pending.outstanding or request.key in self._sent:
                continue
            if isinstance(request.command, SubmitBatch):
                request.command = request.command.publish()
            try:
                body = OBJECTS.packed(request.command)
            except (TypeError, ValueError) as error:
                self.pending.refuse(request, PerdureError(f"the request cannot cross to another process: {error}"))
                continue
            if len(body) > BODY_BYTES_MAX:
                msg = f"the request takes {len(body):,} bytes, more than the {BODY_BYTES_MAX:,} of one commit. Make several of it."
                self.pending.refuse(request, PayloadTooLarge(msg))
                continue
            rows.append([request.key, request.times, request.target, body])
            request.times += 1
            request.writes = 1
            self._sent.add(request.key)
            size += len(body)
            if size >= ASK_BYTES:
                break
        if rows:
            self._out.append(memoryview(pack(Kind.ASK, *rows)))
        gone = self._sent - self.pending.outstanding.keys() if len(self._sent) > 2 * len(self.pending.outstanding) else ()
        if gone:
            self._out.append(memoryview(pack(Kind.FORGET, *gone)))
            self._sent.difference_update(gone)

    def _ping(self) -> None:
        now_s = time.monotonic()
        if self._sent and now_s - max(self._heard_s, self._pinged_s) > min(PING_S, self.timeout_s / 4):
            self._pinged_s = now_s
            self._out.append(memoryview(pack(Kind.PING)))

    def _write_out(self) -> None:
        """Write as much as the socket takes."""
        sock = self._sock
        while sock is not None and self._out:
            try:
                sent = sock.send(self._out[0])
            except BlockingIOError:
                return
            if sent < len(self._out[0]):
                self._out[0] = self._out[0][sent:]
            else:
                self._out.popleft()
                if not self._out and self._is_up and self._queue:
                    self._gather()

    def _write(self) -> None:
        self._write_out()
        sock = self._sock
        if sock is not None:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
            if self._selector.get_key(sock).events != wanted:
                self._selector.modify(sock, wanted)

    def _expire(self) -> None:
        """Refuse what has waited for an owner, or for a word of the one that has it, for as long as it may."""
        now_s = time.monotonic()
        if now_s < self._heard_s + self.timeout_s or not self.pending.outstanding:
            return
        for request in list(self.pending.outstanding.values()):
            if now_s >= max(self._asked_s.get(request.key, 0.0), self._heard_s) + self.timeout_s:
                self._asked_s.pop(request.key, None)
                for piece in self.pending.split(request):
                    self.pending.refuse(piece, self._in_doubt(piece))

    def _in_doubt(self, request: Request) -> PerdureError:
        if not request.writes:
            return self.no_owner()
        command = request.command.publish() if isinstance(request.command, SubmitBatch) else request.command
        if not isinstance(command, Publish):
            return NotRunning(f"no answer within {self.timeout_s:g} s; what was asked may or may not be done: {self._why()}")
        ids = tuple(draft.id for draft in command.drafts)
        msg = (
            f"no answer within {self.timeout_s:g} s: {len(ids)} message(s) may or may not be published. Publish again with the "
            f"same id to settle it (the first is {ids[0]}); see `.ids`. {self._why()}"
        )
        return PublishTimeout(msg, ids)


def _key_of(request: Request) -> int:
    return request.key


def _run(of: weakref.ref[Connection], bell: Bell) -> None:
    """Take turns for a connection for as long as it is there, and is not begun anew with another bell."""
    CURRENT.actor = _NoActor()
    while (connection := of()) is not None and connection._heard is bell:  # noqa: SLF001 - this module's own
        try:
            if not connection.turn():
                return
        except Exception:
            logger.exception("a turn of the connection to %s failed; it goes on", connection.folder)
            time.sleep(LOOK_S)
        del connection
