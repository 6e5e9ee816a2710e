"""PostgreSQL crashes, sessions are ended, owners are suspended: what was acknowledged is there once, and the chain is whole.

The server is a real one of these tests alone. What every store must hold to is in `test_contract`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.store import AppendInDoubt, verify
from perdure.store.postgres import partition_writer
from tests.postgres_server import PATIENCE_S, Server, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.store import Frame

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture
def server() -> Iterator[Server]:
    """The server that all tests of this process share: no other test runs meanwhile. It runs again afterwards."""
    shared = shared_server()
    yield shared
    if not shared.is_running:
        shared.start()


@pytest.fixture
def store(server: Server) -> Iterator[perdure.PostgresStore]:
    made = perdure.PostgresStore(server.dsn, name=new_queue())
    made.open()
    yield made
    made.abandon()


class Publisher:
    """Appends as a journal does, and notes what was acknowledged and what was refused."""

    def __init__(self, store: perdure.PostgresStore) -> None:
        self.store = store
        self.sent = 0
        self.acknowledged: list[bytes] = []
        self.refused: list[bytes] = []

    def publish(self) -> bool:
        """Append one frame of its own, and reopen the store where that fails; return whether it was acknowledged."""
        self.sent += 1
        body = b"frame %d" % self.sent
        void_after: int | None = None
        try:
            self.store.append(body, 1, expected_seq=self.store.last_seq + 1, durable=True)
            self.acknowledged.append(body)
            return True  # noqa: TRY300 - the one good end
        except AppendInDoubt:
            void_after = self.store.last_seq
        except perdure.StoreUnavailable:
            pass
        self.refused.append(body)
        patiently(lambda: self.store.reopen(void_after=void_after))
        return False

    def check(self) -> None:
        """Check that the log holds what was acknowledged, in order and once, and nothing that was refused."""
        assert [frame.body for frame in self.store.frames()] == self.acknowledged
        assert verify(self.store).ok


def patiently(step: Callable[[], object]) -> None:
    """Repeat a step until the database can be reached."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            step()
        except perdure.OwnershipLost:
            raise
        except perdure.StoreUnavailable:
            assert time.monotonic() < until_s
            time.sleep(0.02)
        else:
            return


def test_an_acknowledged_frame_outlasts_a_crash_of_the_server_and_bookkeeping_may_not(
    server: Server, store: perdure.PostgresStore
) -> None:
    server.pause_wal_writer()
    for n in range(5):
        store.append(b"bookkeeping %d" % n, 1, expected_seq=store.last_seq + 1)
    store.append(b"published", 1, expected_seq=6, durable=True)
    assert store.synced_seq == 6
    store.append(b"never synced", 1, expected_seq=7)
    assert store.synced_seq == 6
    server.kill()
    server.start()
    recovered = store.reopen()
    assert recovered.last_seq == 6, "the frame that was not durable was still in the server's memory"
    assert [frame.body for frame in store.frames()][-1] == b"published"
    assert verify(store).ok


@pytest.mark.long(seconds=3)
def test_a_sync_makes_what_was_appended_before_outlast_a_crash(server: Server, store: perdure.PostgresStore) -> None:
    store.append(b"bookkeeping", 1, expected_seq=1)
    store.sync()
    assert store.synced_seq == 1
    server.kill()
    server.start()
    assert store.reopen().last_seq == 1


def test_a_durable_append_returns_after_the_flush_of_its_commit_and_another_before(
    server: Server, store: perdure.PostgresStore
) -> None:
    def flushed() -> int:
        [(at,)] = server.run("SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint")
        assert isinstance(at, int)
        return at

    body = random.Random(1).randbytes(5000)
    server.pause_wal_writer()
    try:
        before = flushed()
        store.append(body, 1, expected_seq=1, durable=True)
        durable = flushed()
        store.append(body, 1, expected_seq=2)
        bookkeeping = flushed()
    finally:
        server.resume_wal_writer()
    assert durable - before > len(body)
    assert bookkeeping == durable


@pytest.mark.long(seconds=3)
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])
def test_a_restart_of_the_server_loses_nothing(server: Server, store: perdure.PostgresStore, how: signal.Signals) -> None:
    publisher = Publisher(store)
    for _ in range(3):
        assert publisher.publish()
    server.stop(how)
    server.start()
    publisher.publish()
    assert publisher.publish()
    publisher.check()


def test_ended_sessions_are_not_noticed_by_a_publisher(server: Server, store: perdure.PostgresStore) -> None:
    publisher = Publisher(store)
    for _ in range(3):
        server.end_all_sessions()
        assert publisher.publish(), "the append was settled and sent again"
    publisher.check()


@pytest.mark.long(seconds=3)
def test_sessions_are_ended_all_the_time(server: Server, store: perdure.PostgresStore) -> None:
    publisher = Publisher(store)
    over = threading.Event()

    def end_sessions() -> None:
        rng = random.Random(7)
        while not over.wait(rng.uniform(0, 0.1)):
            server.end_all_sessions()

    ender = threading.Thread(target=end_sessions)
    ender.start()
    try:
        for _ in range(40):
            publisher.publish()
    finally:
        over.set()
        ender.join()
    assert publisher.publish()
    publisher.check()


def test_an_append_that_was_carried_out_and_not_answered_is_there_once(
    store: perdure.PostgresStore, lost_answer: Callable[[bool], None]
) -> None:
    store.append(b"before", 1, expected_seq=1, durable=True)
    lost_answer(True)
    store.append(b"written", 1, expected_seq=2, durable=True)
    lost_answer(False)
    store.append(b"sent again", 1, expected_seq=3, durable=True)
    assert [frame.body for frame in store.frames()] == [b"before", b"written", b"sent again"]
    assert verify(store).ok


def test_an_append_that_cannot_be_settled_is_void_once_the_database_is_back(
    server: Server, store: perdure.PostgresStore, lost_answer: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_writer, "SETTLE_S", 0.1)
    store.append(b"before", 1, expected_seq=1, durable=True)
    lost_answer(True)
    monkeypatch.setattr(store.database, "connect", _unreachable)
    monkeypatch.setattr(store.database, "_idle_one", lambda: None)
    with pytest.raises(AppendInDoubt):
        store.append(b"in doubt", 1, expected_seq=2, durable=True)
    with pytest.raises(perdure.StoreUnavailable):
        store.append(b"later", 1, expected_seq=2)
    monkeypatch.undo()
    recovered = store.reopen(void_after=1)
    assert (recovered.last_seq, recovered.cut_from_seq) == (1, 2)
    store.append(b"after", 1, expected_seq=2, durable=True)
    assert [frame.body for frame in store.frames()] == [b"before", b"after"]


def _unreachable() -> object:
    raise perdure.StoreUnavailable("the network is down")


@pytest.fixture
def lost_answer(store: perdure.PostgresStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Let the connection of the next append break: after the server has carried it out, or before it has seen it."""
    import psycopg

    def arm(is_carried_out: bool) -> None:
        session = store._session
        assert session is not None
        run = session.run

        def broken(name: bytes, values: list[bytes]) -> list[bytes | None]:
            if name == b"append":
                if is_carried_out:
                    run(name, values)
                raise psycopg.OperationalError("the connection was lost")
            return run(name, values)

        monkeypatch.setattr(session, "run", broken)

    return arm


@pytest.mark.long(seconds=3)
def test_a_commit_whose_wait_for_its_standby_was_cancelled_is_not_acknowledged_before_it_is_safe(
    server: Server, store: perdure.PostgresStore
) -> None:
    """The server has it and says so with a warning, though the standby may not have it."""
    store.append(b"before", 1, expected_seq=1, durable=True)
    appended = threading.Event()

    def append() -> None:
        store.append(b"waits", 1, expected_seq=2, durable=True)
        appended.set()

    server.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    server.run("SELECT pg_reload_conf()")
    thread = threading.Thread(target=append)
    try:
        patiently_until(lambda: server.run("SELECT 1 WHERE current_setting('synchronous_standby_names') = 'nobody'"))
        server.run("CHECKPOINT")  # by the process that has commits wait: it takes up the setting first
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%append%'"
        thread.start()
        patiently_until(lambda: server.run(waiting))
        server.run(f"SELECT pg_cancel_backend(pid) FROM ({waiting}) AS w")
        patiently_until(lambda: server.run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%claim%'"))
        assert not appended.is_set()
    finally:
        server.run("ALTER SYSTEM RESET synchronous_standby_names")
        server.run("SELECT pg_reload_conf()")
        thread.join(PATIENCE_S)
    assert appended.is_set(), "what waits for a standby is released where none is needed any more"
    assert [frame.body for frame in store.frames()] == [b"before", b"waits"]


def patiently_until(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.02)


OWNER = """
import sys, time
import perdure
store = perdure.PostgresStore(sys.argv[1], name=sys.argv[2])
store.open()
print("open", flush=True)
sent = 0
for line in sys.stdin:
    sent += 1
    try:
        store.append(b"of the first %d" % sent, 1, expected_seq=store.last_seq + 1, durable=True)
        print("written", flush=True)
    except perdure.OwnershipLost:
        print("lost", flush=True)
"""


class Owner:
    """Another process that owns a partition, and appends when it is told to."""

    def __init__(self, server: Server, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, server.dsn, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.heard() == "open"

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def append(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.heard()

    def signal(self, what: signal.Signals) -> None:
        self.process.send_signal(what)
        if what == signal.SIGKILL:
            self.process.wait(PATIENCE_S)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_suspended_owner_is_replaced_after_its_lease_and_writes_nothing_afterwards(server: Server) -> None:
    name = new_queue()
    first = Owner(server, name)
    try:
        assert first.append() == "written"
        first.signal(signal.SIGSTOP)
        second = perdure.PostgresStore(server.dsn, name=name)
        with pytest.raises(perdure.StoreLocked) as told:
            second.open()
        assert told.value.pid == first.process.pid
        pass_lease_of(server, first)
        second.open()
        second.append(b"of the second", 1, expected_seq=2, durable=True)
        first.signal(signal.SIGCONT)
        assert first.append() == "lost"
        assert first.append() == "lost"
        second.append(b"of the second, too", 1, expected_seq=3, durable=True)
        assert [frame.body for frame in second.frames()] == [b"of the first 1", b"of the second", b"of the second, too"]
        assert verify(second).ok
        second.close()
    finally:
        first.end()


def pass_lease_of(server: Server, owner: Owner) -> None:
    """Do to its lease what time would."""
    server.run(f"UPDATE perdure.lease SET until = '-infinity' WHERE owner LIKE '%:{owner.process.pid}:%'")


def patiently_open(store: perdure.PostgresStore) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            store.open()
        except perdure.StoreLocked:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        else:
            return


@pytest.mark.long(seconds=3)
def test_a_killed_owner_is_replaced_long_before_its_lease_has_passed(server: Server) -> None:
    name = new_queue()
    first = Owner(server, name)
    server.run(f"UPDATE perdure.lease SET until = until + interval '1 hour' WHERE owner LIKE '%:{first.process.pid}:%'")
    first.append()
    first.end()
    second = perdure.PostgresStore(server.dsn, name=name)
    second.open()
    assert second.last_seq == 1
    second.close()


@pytest.mark.long(seconds=3)
def test_no_takeover_misses_a_frame_of_the_owner_before(server: Server) -> None:
    """Without the lock of the partition's row, a frame that was under way could follow what the next owner had read."""
    name = new_queue()
    stores = [perdure.PostgresStore(server.dsn, name=name, lease=0.001) for _ in range(2)]
    acknowledged: list[bytes] = []
    seen: list[Frame] = []
    stores[0].open()
    for turn in range(30):
        old, new = stores[turn % 2], stores[(turn + 1) % 2]
        begun = threading.Event()

        def write(owner: perdure.PostgresStore = old, turn: int = turn, begun: threading.Event = begun) -> None:
            for n in range(1000):
                body = b"%d of turn %d" % (n, turn)
                try:
                    owner.append(body, 1, expected_seq=owner.last_seq + 1)
                except perdure.OwnershipLost:
                    return
                acknowledged.append(body)
                begun.set()

        writer = threading.Thread(target=write)
        writer.start()
        assert begun.wait(PATIENCE_S)
        patiently_open(new)
        known = new.last_seq
        writer.join()
        assert len(acknowledged) == known, "all that the old owner was told of is what the new one found"
        old.abandon()
    final = stores[30 % 2]
    seen = list(final.frames())
    assert [frame.body for frame in seen] == acknowledged
    assert verify(final).ok
    final.close()


def test_a_forked_child_writes_nothing_and_leaves_the_connections_alone(store: perdure.PostgresStore) -> None:
    store.append(b"of the parent", 1, expected_seq=1)
    assert len(list(store.frames())) == 1
    idle = store.reader.database._kept.idle[-1]
    child = os.fork()
    if not child:
        try:
            store.append(b"of the child", 1, expected_seq=2)
        except perdure.StoreUnavailable:
            store.abandon()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    store.append(b"of the parent again", 1, expected_seq=2, durable=True)
    assert store.last_seq == 2
    idle.execute("SELECT 1")


def test_an_owner_without_anything_to_write_finds_that_the_database_holds_less_than_was_durable(server: Server) -> None:
    """As after the promotion of a standby that lagged: connections end, and the server that it reaches then has no such frame."""
    name = new_queue()
    store = perdure.PostgresStore(server.dsn, name=name, lease=1.5)
    told: list[perdure.OwnershipLost] = []
    found = threading.Event()

    def lost(why: perdure.OwnershipLost) -> None:
        told.append(why)
        found.set()

    store.watch_ownership(lost)
    store.open()
    try:
        for n in (1, 2):
            store.append(b"frame", 1, expected_seq=n, durable=True)
        server.end_all_sessions()
        assert not found.wait(0.8), "all is there still"
        of_queue = f"(SELECT id FROM perdure.partition WHERE queue = '{name}')"
        server.run(f"DELETE FROM perdure.frame WHERE first_seq = 2 AND partition_id = {of_queue}")
        server.end_all_sessions()
        assert found.wait(PATIENCE_S)
        assert "ends at 1, but was synced up to 2" in str(told[0])
        with pytest.raises(perdure.StoreCorrupt, match="accept-loss"):
            store.reopen()
    finally:
        store.abandon()
