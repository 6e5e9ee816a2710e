"""Where the system has no Unix sockets: a port for this machine alone, and a secret that only the owner's user can read.

The secret is in a file of mode 0600, made anew by each owner. Both ends prove that they know it, and neither sends it. So another
user's process can neither ask the owner nor impersonate it. What is sent after that is in `wire`.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
from typing import TYPE_CHECKING

from perdure.actors.sessions.framing.wire import BadFrame, Kind, pack

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = ["PORT_NAME", "Proof", "connect_to_port", "listen_on_port", "proven"]

PORT_NAME = "owner.port"
HOST = "127.0.0.1"
BACKLOG = 128
CONNECT_S = 1.0
NONCE_BYTES = 16


def listen_on_port(folder: Path) -> tuple[socket.socket, tuple[int, int], bytes]:
    """Listen on any free port of this machine, and note it in the folder, in place of what a dead owner noted.

    Returns:
        the socket, which does not block, the device and inode of the file, and the secret in it.

    Raises:
        OSError: the folder cannot be written.
    """
    path, beside = folder / PORT_NAME, folder / f"{PORT_NAME}.{os.getpid()}"
    secret = secrets.token_bytes(32)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.settimeout(0.0)
        listener.bind((HOST, 0))
        listener.listen(BACKLOG)
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump({"port": listener.getsockname()[1], "secret": secret.hex()}, file)
        found = beside.stat()
        beside.replace(path)
    except BaseException:
        listener.close()
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return listener, (found.st_dev, found.st_ino), secret


def connect_to_port(folder: Path) -> tuple[socket.socket, bytes]:
    """Connect to the port that is noted in a folder; return the socket, which does not block, and the secret.

    Raises:
        OSError: nothing is noted there, or nothing listens.
    """
    try:
        noted = json.loads((folder / PORT_NAME).read_bytes())
        port, secret = int(noted["port"]), bytes.fromhex(noted["secret"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{folder / PORT_NAME} is not what an owner writes"
        raise OSError(msg) from error
    sock = socket.create_connection((HOST, port), timeout=CONNECT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(0.0)
    return sock, secret


def _proof(secret: bytes, side: bytes, nonce: bytes) -> bytes:
    return hmac.digest(secret, side + nonce, "sha256")


class Proof:
    """A peer's proof that it knows the secret, and the owner's that it has to get."""

    def __init__(self, secret: bytes) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        self.frame = pack(Kind.PROOF, nonce, _proof(secret, b"peer", nonce))
        """The first frame of the connection."""
        self._expected = _proof(secret, b"owner", nonce)

    def check(self, kind: Kind, elements: list[Any]) -> None:
        """Check the first frame of the other end.

        Raises:
            BadFrame: it does not know the secret.
        """
        if kind is not Kind.PROOF or len(elements) != 1 or not _are_equal(elements[0], self._expected):
            msg = "what listens there is not the owner of the folder: it does not know the secret in it"
            raise BadFrame(msg)


def proven(secret: bytes, kind: Kind, elements: list[Any]) -> bytes:
    """Check a peer's first frame, and return the owner's.

    Raises:
        BadFrame: the peer does not know the secret.
    """
    match elements:
        case [bytes(nonce), theirs] if kind is Kind.PROOF and len(nonce) == NONCE_BYTES:
            if _are_equal(theirs, _proof(secret, b"peer", nonce)):
                return pack(Kind.PROOF, _proof(secret, b"owner", nonce))
    msg = f"no proof that it knows the secret in {PORT_NAME}"
    raise BadFrame(msg)


def _are_equal(given: object, expected: bytes) -> bool:
    return isinstance(given, bytes) and hmac.compare_digest(given, expected)
