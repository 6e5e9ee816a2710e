"""Unix sockets in a folder, with names of any length, and which process is at their other end.

Only system calls; what crosses a socket is in `wire`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from perdure.actors.sessions.listening.loopback import PORT_NAME, connect_to_port, listen_on_port
from perdure.actors.sessions.listening.reach import let_in
from perdure.events.errors import StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.advice import with_advice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = [
    "SOCKET_NAME",
    "FolderListener",
    "Listener",
    "bind_over",
    "connect_to",
    "listener_name",
    "open_listener",
    "peer_of",
    "reach",
    "unlink_if_ours",
]

logger = GuardedLogger("perdure")

SOCKET_NAME = "owner.sock"
MEMBERS_NAME = "owner.members"
"""An empty file that exists while processes with handlers may hold deliveries: from before the first one until none can be left."""
NAME_BYTES_MAX = 107
"""Bytes of a socket's name that the kernel takes."""
BACKLOG = 128
"""Connections that wait to be accepted."""
HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX")
_CREDENTIALS = struct.Struct("3i")


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield a name for a path that is short enough for the kernel, for as long as this is entered."""
    if len(os.fsencode(path)) <= NAME_BYTES_MAX:
        yield str(path)
        return
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)


def bind_over(folder: Path, uids: Collection[int] = ()) -> tuple[socket.socket, tuple[int, int]]:
    """Listen on the folder's socket, in place of one that a dead owner left; for the folder's user, root and these users alone.

    Returns:
        the socket, which does not block, and its file's device and inode.

    Raises:
        OSError: the folder cannot be written, or its file system has no sockets.
    """
    path, beside = folder / SOCKET_NAME, folder / f"{SOCKET_NAME}.{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.settimeout(0.0)
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        with _short(beside) as name:
            listener.bind(name)
        beside.chmod(0o600)
        let_in(folder, beside, uids)
        found = beside.stat()
        listener.listen(BACKLOG)  # first, so that the name is never there without a listener
        beside.replace(path)
    except BaseException:
        listener.close()
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return listener, (found.st_dev, found.st_ino)


class Listener(NamedTuple):
    """Where an owner listens: a socket that does not block, the file in the folder that leads to it, and what a peer must know."""

    sock: socket.socket
    name: str
    file: tuple[int, int]
    secret: bytes
    """Empty for a Unix socket: the kernel says whose process connects."""


def open_listener(folder: Path, uids: Collection[int] = ()) -> Listener:
    """Listen in a folder, by a Unix socket if the system has them.

    Raises:
        OSError: as `bind_over`; or other users are to connect, and there are no Unix sockets.
    """
    if HAS_UNIX_SOCKETS:
        listener, found = bind_over(folder, uids)
        return Listener(listener, SOCKET_NAME, found, b"")
    if uids:
        msg = "allowed_uids: this system has no Unix sockets, by which another user's processes could be told apart"
        raise OSError(msg)
    sock, file, secret = listen_on_port(folder)
    return Listener(sock, PORT_NAME, file, secret)


class FolderListener:
    """Where peers of this machine come in.

    Raises:
        StoreUnavailable: the socket cannot be made.
    """

    def __init__(self, folder: Path, uids: Collection[int]) -> None:
        self._folder = folder
        self._members = folder / MEMBERS_NAME
        self.had_members = self._members.exists()
        """Processes with handlers may still hold what an earlier owner handed to them."""
        self._has_members = False
        try:
            self._open = open_listener(folder, uids)
        except OSError as error:
            msg = f"shared: no socket can be made in {folder}: {with_advice(error)}. It has to be on a local file system."
            raise StoreUnavailable(msg) from error
        self.sock = self._open.sock
        self.secret = self._open.secret

    def accept(self) -> socket.socket | None:
        """Return a connection, which does not block; None where there is none, or this process can have no more: it waits."""
        try:
            sock, _ = self.sock.accept()
        except OSError as error:  # no descriptor is left, say
            logger.debug("a connection cannot be accepted: %s", error)
            if not isinstance(error, BlockingIOError):
                time.sleep(0.01)
            return None
        sock.settimeout(0.0)
        return sock

    def note_member(self) -> None:
        """Mark, for the next owner, that a process with handlers has joined this one. The mark is lost only in a power cut.

        Raises:
            OSError: the folder cannot be written.
        """
        if not self._has_members:
            self._members.touch(mode=0o600)
            self._has_members = self.had_members = True

    def forget_members(self) -> None:
        """Remove that mark, if none has joined this owner: members of earlier owners have had the time to report what they hold."""
        if self.had_members and not self._has_members:
            self.had_members = False
            with contextlib.suppress(OSError):
                self._members.unlink()

    def unlink(self) -> None:
        """Remove the file that leads here, unless it is another's by now."""
        unlink_if_ours(self._folder, self._open.file, self._open.name)


def listener_name() -> str:
    """Return the name of the file that leads to a folder's owner on this system."""
    return SOCKET_NAME if HAS_UNIX_SOCKETS else PORT_NAME


def reach(folder: Path) -> tuple[socket.socket, bytes]:
    """Connect to the owner of a folder; return the socket, and what to prove that one knows (nothing, over a Unix socket).

    Raises:
        OSError: as `connect_to`.
    """
    return (connect_to(folder), b"") if HAS_UNIX_SOCKETS else connect_to_port(folder)


def unlink_if_ours(folder: Path, file: tuple[int, int], name: str = SOCKET_NAME) -> None:
    """Remove the file that leads to the folder's owner, unless it is another's by now."""
    path = folder / name
    with contextlib.suppress(OSError):
        found = path.stat()
        if (found.st_dev, found.st_ino) == file:
            path.unlink()


def connect_to(folder: Path) -> socket.socket:
    """Connect to the owner of a folder, without waiting for it to accept.

    Raises:
        OSError: nothing listens there, or more wait than it takes at a time (BlockingIOError).
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(0.0)
        with _short(folder / SOCKET_NAME) as name:
            sock.connect(name)
    except BaseException:
        sock.close()
        raise
    return sock


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Return the pid and the uid of the process that connected, or of the one that listens; pid 0: of another pid namespace.

    Over a port: 0 and this user, whose secret the other end has to know.
    """
    if not HAS_UNIX_SOCKETS:
        return 0, os.geteuid()
    pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
