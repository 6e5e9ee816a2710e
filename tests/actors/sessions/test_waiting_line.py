"""Those that wait while the owner reads its log are told how far it is, and lose nothing of what they have said."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.sessions.framing.wire import LENGTH, PROTOCOL, TAKES_READING, Assembler, Kind, pack
from perdure.actors.sessions.listening import sockets
from perdure.actors.sessions.listening.loopback import Proof, connect_to_port
from perdure.actors.sessions.listening.sockets import FolderListener, connect_to
from perdure.actors.sessions.listening.waiting_line import WaitingLine
from tests.host.processes.clients.test_faults import forked

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = pack(Kind.HELLO, PROTOCOL, "x", "", 1, TAKES_READING)
OLDER_HELLO = pack(Kind.HELLO, PROTOCOL, "x", "", 1)
PATIENCE_S = 20.0
QUIET_S = 0.6
"""Within which the line looks at each three times."""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[FolderListener]:
    listener = FolderListener(tmp_path, ())
    yield listener
    listener.sock.close()


def line_of(listener: FolderListener, *, uid: int | None = None) -> WaitingLine:
    return WaitingLine(listener, {os.geteuid() if uid is None else uid})


def connected(folder: Path, said: bytes, descriptors: tuple[int, ...] = ()) -> socket.socket:
    sock = connect_to(folder)
    sock.settimeout(PATIENCE_S)
    socket.send_fds(sock, [said], descriptors)
    return sock


def next_frame(sock: socket.socket) -> tuple[Kind, list[Any]]:
    length = sock.recv(LENGTH, socket.MSG_WAITALL)
    return next(Assembler().feed(length + sock.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL)))


def is_told_nothing(sock: socket.socket) -> bool:
    sock.settimeout(QUIET_S)
    try:
        return not sock.recv(1)
    except TimeoutError:
        return True


def test_each_is_told_at_once_and_then_whenever_the_owner_has_got_on(tmp_path: Path, listener: FolderListener) -> None:
    line = line_of(listener)
    first = connected(tmp_path, HELLO)
    assert next_frame(first) == (Kind.READING, [0, 0])
    has_read = line.told_of(90)
    has_read(5)
    second = connected(tmp_path, HELLO)
    assert next_frame(first) == next_frame(second) == (Kind.READING, [5, 90])
    assert is_told_nothing(first), "it is where it was"
    first.settimeout(PATIENCE_S)
    has_read(5)
    assert next_frame(first) == (Kind.READING, [5, 90]), "another piece of a snapshot, say"
    line.close()


@pytest.mark.parametrize("is_older", [False, True])
def test_what_would_not_understand_it_and_what_has_no_rights_are_told_nothing(
    tmp_path: Path, listener: FolderListener, *, is_older: bool
) -> None:
    line = line_of(listener, uid=None if is_older else os.geteuid() + 1)
    sock = connected(tmp_path, OLDER_HELLO if is_older else HELLO)
    line.told_of(90)(5)
    assert is_told_nothing(sock)
    (waiter,) = line.end()
    assert waiter.sock.recv(100) == (OLDER_HELLO if is_older else HELLO)
    waiter.sock.close()


def test_what_they_have_said_is_there_for_the_server_with_what_came_along(tmp_path: Path, listener: FolderListener) -> None:
    line = line_of(listener)
    out, into = os.pipe()
    socks = [connected(tmp_path, HELLO, (out,)), connected(tmp_path, HELLO)]
    for sock in socks:
        assert next_frame(sock)[0] is Kind.READING
    waiters = line.end()
    assert not line.end()
    data, descriptors, _, _ = socket.recv_fds(waiters[0].sock, 100, 1)
    assert data == HELLO
    os.write(into, b"marks")
    assert os.read(descriptors[0], 10) == b"marks"
    assert waiters[1].sock.recv(100) == HELLO
    for fd in (out, into, *descriptors):
        os.close(fd)


def test_one_that_has_gone_is_forgotten_and_one_that_reads_nothing_holds_up_none(tmp_path: Path, listener: FolderListener) -> None:
    line = line_of(listener)
    has_read = line.told_of(1 << 40)
    gone, deaf = connected(tmp_path, HELLO), connected(tmp_path, HELLO)
    assert next_frame(gone)[0] is Kind.READING
    gone.close()
    until_s = time.monotonic() + PATIENCE_S
    while len(line._waiting) != 1:
        has_read(1)
        assert time.monotonic() < until_s
        time.sleep(0.01)
    for _ in range(5000):
        has_read(1)
        line._look_at(line._waiting[0])
    assert next_frame(connected(tmp_path, HELLO))[0] is Kind.READING
    assert next_frame(deaf)[0] is Kind.READING
    assert len(line.end()) == 2


def test_over_a_port_the_proof_is_answered_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HAS_UNIX_SOCKETS", False)
    listener = FolderListener(tmp_path, ())
    line = line_of(listener)
    sock, secret = connect_to_port(tmp_path)
    stranger, _ = connect_to_port(tmp_path)
    for one in (sock, stranger):
        one.settimeout(PATIENCE_S)
    proof = Proof(secret)
    sock.sendall(proof.frame + HELLO)
    stranger.sendall(Proof(b"another").frame + HELLO)
    proof.check(*next_frame(sock))
    assert next_frame(sock) == (Kind.READING, [0, 0])
    with pytest.raises(ConnectionResetError):
        stranger.recv(1)
    (waiter,) = line.end()
    assert waiter.is_proven
    assert waiter.sock.recv(100) == HELLO
    listener.sock.close()


def test_a_forked_child_keeps_no_copy_of_what_waits(tmp_path: Path, listener: FolderListener) -> None:
    line = line_of(listener)
    sock = connected(tmp_path, HELLO)
    assert next_frame(sock)[0] is Kind.READING
    ours = {os.fstat(one.fileno()).st_ino for one in (line._waiting[0].sock, listener.sock)}

    def child() -> None:
        inodes = {fd.stat().st_ino for fd in Path("/proc/self/fd").iterdir() if fd.exists()}
        assert not inodes & ours, "a copy of the owner's sockets"

    assert forked(child) == 0
    assert line.end()
