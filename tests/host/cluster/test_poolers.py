"""Behind pgbouncer: what works in transaction mode, what is refused with the reason, and that session mode is as good as none."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store.postgres.nodes import NodeSession
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Collected

pytestmark = pytest.mark.xdist_group("postgres")

PORT = 6432


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


def accepts(path: Path) -> bool:
    """Return whether a process listens at a socket: its file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


@contextlib.contextmanager
def pooled(mode: str) -> Iterator[str]:
    """Run a pooler in front of the tests' server; give how to connect through it."""
    server = shared_server()
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="perdure-pb-"))
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\npostgres = host={server.folder} user=perdure\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n"
        f"unix_socket_dir = {folder}\nauth_type = any\npool_mode = {mode}\nlogfile = {folder / 'log'}\n"
    )
    become: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        other = pwd.getpwnam("nobody")
        os.chown(folder, other.pw_uid, other.pw_gid)
        become = ["setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]
    process = subprocess.Popen([*become, program, str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        waits = threading.Event()
        for _ in range(int(PATIENCE_S / 0.02)):
            if accepts(folder / f".s.PGSQL.{PORT}"):
                break
            assert process.poll() is None, (folder / "log").read_text()
            waits.wait(0.02)
        yield f"postgresql:///postgres?host={folder}&port={PORT}&user=perdure"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


def test_through_a_pooler_in_transaction_mode_messages_are_published(collected: Collected) -> None:
    name = new_queue()
    with (
        pooled("transaction") as dsn,
        perdure.Cluster(shared_server().dsn, name=name, partitions=2) as cluster,
        perdure.connect(dsn, name=name, timeout=PATIENCE_S) as client,
    ):
        cluster.handler(Order)(lambda message: collected.add(message.name))
        names = [f"order {n}" for n in range(20)]
        client.publish_many([Order(each) for each in names], keys=names)  # of both partitions
        for n in range(20):
            client.publish(Order(f"single {n}"))
        assert client.submit(Order("submitted")).result(PATIENCE_S)
        cluster.drain(timeout=PATIENCE_S)
        assert sorted(collected.items) == sorted([*names, *(f"single {n}" for n in range(20)), "submitted"])


def test_in_transaction_mode_owners_questions_and_backups_are_refused_with_the_reason(tmp_path: Path) -> None:
    name = new_queue()
    with pooled("transaction") as dsn:
        with pytest.raises(perdure.StoreUnavailable, match="pooler that shares sessions"):
            perdure.System(store=perdure.PostgresStore(dsn, name=name)).start()
        with pytest.raises(perdure.StoreUnavailable, match="pooler that shares sessions"):
            perdure.Cluster(dsn, name=new_queue(), partitions=2).start()
        with (
            perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name)),
            perdure.connect(dsn, name=name, timeout=PATIENCE_S) as patient,
            perdure.connect(dsn, name=name, timeout=0.5) as client,
        ):
            ident = patient.publish(Order("published"))
            with pytest.raises(perdure.NotRunning, match="pooler that shares sessions"):
                client.state(ident)
            with pytest.raises(perdure.StoreUnavailable, match="pooler that shares sessions"):
                perdure.backup(f"{dsn}#{name.replace(' ', '%20')}/0", tmp_path / "backup")


def test_session_mode_is_as_good_as_none(collected: Collected) -> None:
    name = new_queue()
    with pooled("session") as dsn, perdure.System(store=perdure.PostgresStore(dsn, name=name)) as system:
        system.handler(Order)(lambda message: collected.add(message.name))
        with perdure.connect(dsn, name=name, timeout=PATIENCE_S) as client:
            ident = client.publish(Order("through it"))
            system.drain(timeout=PATIENCE_S)
            assert client.state(ident).status == "completed"
        assert collected.items == ["through it"]


def test_a_start_that_is_refused_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[NodeSession] = []
    closed: list[NodeSession] = []

    def refuse(session: NodeSession) -> None:
        refused.append(session)
        raise perdure.StoreUnavailable("a pooler is between")

    def close(session: NodeSession) -> None:
        closed.append(session)
        session.database.close()

    monkeypatch.setattr(NodeSession, "check_own_session", refuse)
    monkeypatch.setattr(NodeSession, "close", close)
    with pytest.raises(perdure.StoreUnavailable, match="a pooler"):
        perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=2).start()
    assert closed == refused != []
