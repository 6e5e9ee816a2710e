"""Unix sockets in a folder, with names of any length, and which process is at their other end.

Only system calls; what crosses a socket is in `wire`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from perdure.actors.sessions.reach import let_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["SOCKET_NAME", "bind_over", "connect_to", "peer_of", "unlink_if_ours"]

SOCKET_NAME = "owner.sock"
NAME_BYTES_MAX = 107
"""Bytes of a socket's name that the kernel takes."""
BACKLOG = 128
"""Connections that wait to be accepted."""
_CREDENTIALS = struct.Struct("3i")


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a name for a path that is short enough for the kernel, for as long as this is entered."""
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
        listener.setblocking(False)  # noqa: FBT003 - the library's signature
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


def unlink_if_ours(folder: Path, file: tuple[int, int]) -> None:
    """Remove the folder's socket, unless it is another's by now."""
    path = folder / SOCKET_NAME
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
        sock.setblocking(False)  # noqa: FBT003 - the library's signature
        with _short(folder / SOCKET_NAME) as name:
            sock.connect(name)
    except BaseException:
        sock.close()
        raise
    return sock


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Return the pid and the uid of the process that connected, or of the one that listens; pid 0: of another pid namespace."""
    pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
