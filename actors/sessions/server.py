"""The owner's socket, and the thread that reads and writes for all peers.

Peers that come in by another way are adopted: one end of a socket pair, whose other end that way looks after.

A plain thread and no actor: actors may be killed at any instruction, and half a frame written would cost the peer its connection.
An actor that answers leaves its answer with the session and wakes this thread, or sends it itself (`Peer.answer_now`). What a peer
may ask is in `session`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from perdure.actors.core.users import user_name
from perdure.actors.sessions.crossing import OBJECTS, RIGHTS
from perdure.actors.sessions.departures.departed import Departed
from perdure.actors.sessions.figures import DeputyFigures
from perdure.actors.sessions.framing.wire import BadFrame, Kind, pack
from perdure.actors.sessions.listening.loopback import proven
from perdure.actors.sessions.listening.sockets import FolderListener, peer_of
from perdure.actors.sessions.listening.waiting_line import WaitingLine
from perdure.actors.sessions.listening.waker import NoWaker, Waker
from perdure.actors.sessions.peer import READ_BYTES, Peer
from perdure.actors.sessions.rights.peer_rights import no_rights
from perdure.actors.sessions.session import Ended, Session
from perdure.events.errors import NotRunning, PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.safe_text import inert
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from perdure.actors.sessions.listening.waiting_line import Waiter
    from perdure.actors.sessions.owner import Owner

__all__ = ["Server"]

logger = GuardedLogger("perdure")

PEERS_MAX = 1000
FLOW_BYTES = 8 << 20
"""Deliveries that wait to be read by one peer; the others follow as it reads."""
LOOK_S = 0.25
"""How often deadlines and changed facts are looked at."""
INTERRUPTED = PerdureError("an exception was thrown into the owner's thread while it served this connection")
"""What a connection ends with then: its peer connects again, and asks again what has no answer."""
ENDS_MAX = 3
"""How often the end of a session is begun where it does not come to its end."""
LEAVE_S = 2.0
"""How long `close` waits for the thread."""


class Server:
    """Listens in a folder from when it is made; serves from `serve` to `close`.

    Args:
        folder: the data folder; None: all peers are adopted.
        allowed: by uid of another user, what its processes may do (`publish`, `consume`, `administer`).

    Raises:
        StoreUnavailable: the socket cannot be made.
    """

    def __init__(self, folder: Path | None, allowed: Mapping[int, Collection[str]] | None = None) -> None:
        self._rights = {**{uid: frozenset(rights) for uid, rights in (allowed or {}).items()}, os.geteuid(): RIGHTS, 0: RIGHTS}
        self._heard = Waker()  # first, as it may fail
        self._listener: FolderListener | None = None if folder is None else FolderListener(folder, (allowed or {}).keys())
        self._line = None if self._listener is None else WaitingLine(self._listener, self._rights.keys())
        self._waited: deque[Waiter] = deque()
        self._adopted: deque[tuple[socket.socket, str, str]] = deque()
        self._poll = select.poll()  # no state in the kernel that a fork would share
        self._waker: Waker | NoWaker = self._heard
        self._closing = threading.Lock()
        self._answered: deque[Peer] = deque()
        self._peers: dict[int, Peer] = {}
        self._read_bytes = bytearray(READ_BYTES)
        self._owner: Owner | None = None
        self._why: PerdureError | None = None
        """Set: end."""
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._has_news = False
        self._departed = Departed(self._consumer_gone)
        self.is_settled: Callable[[], bool] = lambda: False
        """Returns whether all that an earlier owner handed out is settled, or has been claimed."""

    def serve(self, owner: Owner) -> None:
        """Begin to accept and answer."""
        self._owner = owner
        if self._listener is not None and self._line is not None:
            self._waited.extend(self._line.end())
            self._poll.register(self._listener.sock, select.POLLIN)
        self._poll.register(self._heard, select.POLLIN)
        thread = EnduringThread(self._run, "perdure-sessions")
        thread.start()
        self._thread = thread

    def reading(self, last_seq: int) -> Callable[[int], None]:
        """Return what is called while the log up to `last_seq` is read, with how far it is: those that wait for this are told."""
        return (lambda _: None) if self._line is None else self._line.told_of(last_seq)

    @property
    def has_members(self) -> bool:
        """Whether other processes may have the same handlers."""
        return self._listener is not None

    def adopt(self, sock: socket.socket, origin: str, principal: str) -> None:
        """Serve a peer that came in by another way, with all rights; see `Session` for `origin` and `principal`. In any thread."""
        sock.settimeout(0.0)
        self._adopted.append((sock, origin, principal))
        self._waker.wake()

    @property
    def had_members(self) -> bool:
        """Whether processes with handlers may hold what an earlier owner of the folder handed to them."""
        return self._listener is None or self._listener.had_members

    @property
    def peers(self) -> int:
        """How many are connected."""
        return len(self._peers)

    def origins(self) -> frozenset[str] | None:
        """Return how the peers are named in what they check out by hand; None where that is not known of all. In any thread."""
        found = frozenset(peer.session.origin for peer in list(self._peers.values()) if peer.is_known)
        return None if "" in found else found

    def deputies(self) -> tuple[DeputyFigures, ...]:
        """Return which processes keep a fold of the log. In any thread."""
        members = (peer.session.member for peer in list(self._peers.values()))
        found = ((one.process, one.deputy_seq) for one in members if one is not None)
        return tuple(DeputyFigures(process.name, process.pid, seq) for process, seq in found if seq is not None)

    def tell_news(self) -> None:
        """Send the peers at once what has changed in the run's facts. Callable in any thread."""
        self._has_news = True
        self._waker.wake()

    def close(self, why: PerdureError) -> None:
        """End all connections, send each peer the reason, and end the thread. Callable more than once, in any thread."""
        self._why = why
        self._waker.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(LEAVE_S)
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            if self._listener is not None:
                self._listener.unlink()
            self._close_descriptors()

    def discard_after_fork(self) -> None:
        """In a forked child: close its copies, so that the owner's peers see its end; the owner's own are untouched."""
        self._why = NotRunning("this process was forked from the owner")
        if not self._is_closed:
            self._is_closed = True
            self._close_descriptors()

    def _close_descriptors(self) -> None:
        for peer in list(self._peers.values()):
            peer.sock.close()
        self._peers.clear()
        if self._line is not None:
            self._line.close()
        while self._waited:
            self._waited.popleft().sock.close()
        while self._adopted:
            self._adopted.popleft()[0].close()
        if self._listener is not None:
            self._listener.sock.close()
        self._waker = NoWaker()
        del self._heard

    # --- the thread --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        for peer in [peer for peer in self._peers.values() if peer.is_attended]:  # it is begun anew: an exception interrupted it
            self._drop(peer, INTERRUPTED)
        look_s = time.monotonic()
        while self._why is None:
            self._turn(max(0.0, look_s - time.monotonic()))
            if time.monotonic() >= look_s:
                look_s = time.monotonic() + LOOK_S
                self._look()
        for peer in list(self._peers.values()):
            self._guarded(peer, 0)
            self._drop(peer, self._why)

    def _turn(self, timeout_s: float) -> None:
        for fd, events in self._poll.poll(timeout_s * 1000):
            peer = self._peers.get(fd)
            if peer is not None:
                self._guarded(peer, events)
            elif fd == self._heard.fileno():
                self._heard.clear()
            elif self._listener is not None and fd == self._listener.sock.fileno():
                if (sock := self._listener.accept()) is not None:
                    self._accepted(sock, is_proven=not self._listener.secret)
            else:  # the thread was interrupted while it dropped, or admitted, a peer
                self._poll.unregister(fd)
        self._heard.clear_if_woken()  # by a thread that was killed before it wrote, perhaps: no other could wake this one then
        while self._waited:
            waiter = self._waited.popleft()
            self._accepted(waiter.sock, is_proven=waiter.is_proven or self._listener is None or not self._listener.secret)
        while self._adopted:
            sock, origin, principal = self._adopted.popleft()
            self._admit(Peer(sock, 0, time.monotonic()), RIGHTS, origin, principal)
        while self._answered:
            self._guarded(self._answered.popleft(), 0)
        if self._has_news:
            self._has_news = False
            for peer in list(self._peers.values()):
                self._guarded(peer, 0, news=True)

    def _look(self) -> None:
        now_s = time.monotonic()
        for peer in list(self._peers.values()):
            if (why := peer.overdue(now_s)) is not None:
                self._drop(peer, why)
            elif peer.is_known:
                self._guarded(peer, 0, news=True)
        self._departed.report_gone(now_s)
        if self._listener is not None and self.is_settled():
            self._listener.forget_members()

    def _consumer_gone(self, origin: str) -> None:
        if self._owner is not None:
            self._owner.consumer_gone(origin)

    def _accepted(self, sock: socket.socket, *, is_proven: bool) -> None:
        pid, uid = peer_of(sock)
        peer = Peer(sock, pid, time.monotonic())
        peer.is_proven = is_proven
        rights = self._rights.get(uid, frozenset())
        user = "" if self._owner is None or self._owner.permit is None else user_name(uid)
        self._admit(peer, rights, f"socket, uid {uid}, process {pid}", user)
        if not rights:
            self._drop(peer, no_rights(uid))

    def _admit(self, peer: Peer, rights: frozenset[str], origin: str, principal: str) -> None:
        assert self._owner is not None  # noqa: S101 - `serve` set it before the thread began
        peer.session = Session(self._owner, partial(self._has_answers, peer), rights, origin, principal)
        self._peers[peer.fd] = peer
        self._poll.register(peer.sock, peer.awaits)
        if len(self._peers) > PEERS_MAX:
            self._drop(peer, NotRunning(f"{PEERS_MAX:,} processes are connected already, which is the most"))

    def _has_answers(self, peer: Peer) -> None:
        if peer.answer_now():
            return
        if not peer.is_queued:
            peer.is_queued = True
            self._answered.append(peer)
        self._waker.wake()

    def _guarded(self, peer: Peer, events: int, *, news: bool = False) -> None:
        """Do what there is to do for a peer; whatever fails in it costs that peer its connection, and nothing else."""
        if self._peers.get(peer.fd) is not peer:
            return
        peer.is_attended = True
        self._attend(peer, events, news=news)
        peer.is_attended = False

    def _attend(self, peer: Peer, events: int, *, news: bool) -> None:
        try:
            if events & ~select.POLLOUT:
                self._read(peer)
            peer.is_queued = False  # first: what is answered from here on queues it again, and so does a thread that writes now
            if not peer.claim():
                return
            session = peer.session
            for frame in session.frames(FLOW_BYTES - peer.out_bytes):
                peer.put(frame)
            if news:
                for frame in session.news():
                    peer.put(frame)
            self._write(peer)
            peer.release()
            if (over := session.over) is not None:
                self._drop(peer, over)
        except Ended as ended:
            self._drop(peer, ended.reason)
        except BadFrame as error:
            self._drop(peer, PerdureError(f"the connection was closed, since what came over it is not perdure's: {error}"))
        except OSError:
            self._drop(peer, None)
        except Exception as error:
            logger.exception("the connection of process %d failed, and is closed", peer.pid)
            self._drop(peer, PerdureError(f"the owner could not go on with this connection: {error!r}"))

    def _read(self, peer: Peer) -> None:
        try:
            data = memoryview(self._read_bytes)[: peer.sock.recv_into(self._read_bytes)] if peer.is_known else peer.receive_first()
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError
        peer.heard_s = time.monotonic()
        for kind, elements in peer.frames.feed(data):
            if not peer.is_proven:
                peer.put(proven(b"" if self._listener is None else self._listener.secret, kind, elements))
                peer.is_proven = peer.is_known = True
                continue
            for frame in peer.session.take(kind, elements):
                peer.put(frame)
            if kind is Kind.JOIN and self._listener is not None:
                self._listener.note_member()  # before anything is handed to it
            if not peer.is_known:
                peer.is_known = True
                self._departed.back(peer.session.origin)
                logger.info("process %d (%s) is connected; %d now", peer.pid, inert(peer.session.name), len(self._peers))

    def _write(self, peer: Peer) -> None:
        if peer.out:
            peer.send()
        wanted = select.POLLIN | select.POLLOUT if peer.out else select.POLLIN
        if peer.awaits != wanted:
            peer.awaits = wanted
            self._poll.modify(peer.sock, wanted)

    def _drop(self, peer: Peer, why: PerdureError | None) -> None:
        """End a connection; `why` is sent to the peer where there is room for it."""
        if self._peers.get(peer.fd) is not peer:
            return
        peer.is_attended = True  # until it is gone: where the thread is interrupted in this, it begins with this again
        peer.ends_begun += 1
        if peer.ends_begun <= ENDS_MAX:
            peer.session.close()
        with contextlib.suppress(KeyError, ValueError):
            self._poll.unregister(peer.sock)
        if peer.is_known:
            self._departed.left(peer.session.origin, peer.pid, time.monotonic())
            logger.info("process %d (%s) is connected no more; %d now", peer.pid, inert(peer.session.name), len(self._peers))
        if why is not None:
            level = logging.DEBUG if isinstance(why, NotRunning) else logging.WARNING
            logger.log(level, "the connection of process %d (%s) is closed: %s", peer.pid, peer.session.name, why)
        peer.close(b"" if why is None else pack(Kind.BYE, OBJECTS.packed(why)))
        self._peers.pop(peer.fd, None)
