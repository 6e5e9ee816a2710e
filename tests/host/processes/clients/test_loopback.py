"""Where the system has no Unix sockets: a port of this machine, and a secret in a file that both ends must know."""

from __future__ import annotations

import json
import socket
import stat
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.actors.sessions.framing.wire import PROTOCOL, Assembler, Kind, pack
from perdure.actors.sessions.listening import sockets
from perdure.actors.sessions.listening.loopback import Proof, connect_to_port
from tests.host.processes.shop import Order, Quote, shop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HAS_UNIX_SOCKETS", False)


def first_answer(sock: socket.socket) -> Kind:
    sock.setblocking(True)
    sock.settimeout(20)
    return next(iter(Assembler().feed(sock.recv(65536))))[0]


def test_a_client_does_all_that_it_does_over_a_socket(folder: Path) -> None:
    with shop(str(folder)) as system, perdure.connect(folder) as client:
        assert not (folder / "owner.sock").exists()
        assert stat.S_IMODE((folder / "owner.port").stat().st_mode) == 0o600
        assert client.call(Quote(4), timeout=20) == 8
        futures = [client.submit(Order(n)) for n in range(300)]
        assert len({future.result(20) for future in futures}) == 300
        client.drain(30)
        assert system.admin.metrics().completed == 301
    assert not (folder / "owner.port").exists()


def test_the_next_owner_has_another_secret_and_is_found(folder: Path) -> None:
    with shop(str(folder)):
        client = perdure.connect(folder)
        client.publish(Order(1))
        before = json.loads((folder / "owner.port").read_text())["secret"]
    future = client.submit(Order(2))
    with shop(str(folder)):
        assert future.result(30)
        assert json.loads((folder / "owner.port").read_text())["secret"] != before
        client.close()


@pytest.mark.parametrize("knows", ["nothing", "another secret", "the secret"])
def test_only_what_knows_the_secret_gets_an_answer(folder: Path, knows: str) -> None:
    with shop(str(folder)):
        sock, secret = connect_to_port(folder)
        proof = Proof(secret if knows == "the secret" else b"another").frame
        sock.sendall((b"" if knows == "nothing" else proof) + pack(Kind.HELLO, PROTOCOL, "x"))
        assert first_answer(sock) is (Kind.PROOF if knows == "the secret" else Kind.BYE)
        sock.close()


def test_another_process_on_the_noted_port_does_not_pass_for_the_owner(folder: Path) -> None:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        (folder / "owner.port").write_text(json.dumps({"port": other.getsockname()[1], "secret": "00" * 32}))
        client = perdure.connect(folder, timeout=2, spool=True)
        client._connection.start()
        sock, _ = other.accept()
        sock.recv(65536)
        sock.sendall(pack(Kind.WELCOME, PROTOCOL, {}))
        sock.settimeout(20)
        assert sock.recv(65536) == b"", "it is told nothing"
        assert not client._connection.welcomed.is_set()
        client.close(0)


def test_a_file_that_is_none_is_no_owner(folder: Path) -> None:
    folder.mkdir()
    (folder / "owner.port").write_text("[]")
    with pytest.raises(perdure.NotRunning, match=r"owner\.port"):
        perdure.connect(folder, timeout=0.2)


def test_other_users_need_unix_sockets(folder: Path) -> None:
    with pytest.raises(perdure.StoreUnavailable, match="allowed_uids"):
        shop(str(folder), options=perdure.Options(allowed_uids={54321: ["publish"]})).start()
