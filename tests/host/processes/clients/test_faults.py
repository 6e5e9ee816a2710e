"""Owners that die, hang and come back; forks; and peers that break every rule."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import perdure
from perdure.actors.sessions import peer as peer_module
from perdure.actors.sessions import server as server_module
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.wire import PROTOCOL, Kind, pack
from perdure.actors.sessions.listening.sockets import bind_over, connect_to
from perdure.events import commands
from tests.effort import examples
from tests.host.processes.shop import Order, Quote, shop
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[[], Program]


PATIENCE_S = 60.0


def wait_until(holds: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def suspend(pid: int) -> None:
    """Stop a process by SIGSTOP; return once all its threads stand still."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    wait_until(lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()))


def greeted(folder: Path) -> socket.socket:
    sock = connect_to(folder)
    sock.setblocking(True)
    sock.settimeout(10)
    sock.sendall(pack(Kind.HELLO, PROTOCOL, "raw"))
    assert sock.recv(65536)
    return sock


def server_of(owner: perdure.System) -> server_module.Server:
    """Return what serves the other processes of an owner."""
    engine = owner._engine
    assert engine is not None
    assert engine.server is not None
    return engine.server


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Left(NamedTuple):
    """What there is more than before."""

    threads: int
    descriptors: int
    objects: int


@contextlib.contextmanager
def left_behind(work: Callable[[], object], gone: Callable[[], bool], *, before: int, times: int, objects: int) -> Iterator[Left]:
    """What some work leaves behind, when `gone` holds; it is done `before` times first, for what is made once.

    Waits until fewer than so many objects are left, at most 15 s: threads of an earlier test may end meanwhile. What is still
    there then is what its caller asserts on. Objects are counted, not bytes: the interpreter keeps thousands of freed tuples,
    which look like a leak for as long.
    """

    def held() -> Left:
        wait_until(gone)
        gc.collect()
        return Left(threading.active_count(), open_descriptors(), len(gc.get_objects()))

    for _ in range(before):
        work()
    first = held()
    for _ in range(times):
        work()
    last = first

    def is_back() -> bool:
        """Look at all at one moment: the owner, in this process, opens a file now and then."""
        nonlocal last
        last = held()
        settled = last.threads <= first.threads and last.descriptors <= first.descriptors
        return settled and last.objects < first.objects + objects

    until_s = time.monotonic() + 15
    while not is_back() and time.monotonic() < until_s:
        time.sleep(0.01)
    yield Left(*(now - then for now, then in zip(last, first, strict=True)))


# --- owners ----------------------------------------------------------------------------------------------------------------


def test_what_is_asked_survives_the_death_of_its_owner_and_counts_once(start: Start, folder: Path) -> None:
    first = start()
    with perdure.connect(folder, timeout=60) as client:
        kept = client.publish(Quote(3), delay=1000, keep_result=600)
        waited: list[BaseException] = []

        def wait() -> None:
            try:
                client.result(kept, timeout=60)
            except perdure.Cancelled as error:
                waited.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        os.kill(first.pid, signal.SIGSTOP)
        futures = [client.submit(Order(n)) for n in range(300)]  # some are on their way when it dies
        time.sleep(0.1)
        first.kill()
        first.wait()
        futures += [client.submit(Order(n)) for n in range(100)]
        start()
        ids = [future.result(60) for future in futures]
        assert client.cancel(kept)
        waiter.join(30)
        assert waited, "the wait for a result went on with the next owner"
        client.drain(60)
        assert len(set(ids)) == 400
        assert client.admin.metrics().published == 401


@pytest.mark.long(seconds=3)
def test_a_stopped_owner_holds_up_no_call_and_is_named(start: Start, folder: Path) -> None:
    process = start()
    with perdure.connect(folder, timeout=1.0) as client:
        client.publish(Order(1))
        suspend(process.pid)
        begun_s = time.monotonic()
        with pytest.raises(perdure.PublishTimeout, match=f"process {process.pid}, .*CONT") as doubt:
            client.publish(Order(2))
        with pytest.raises(perdure.NotRunning, match=f"process {process.pid}, "):
            client.admin.metrics()
        with pytest.raises(perdure.NotRunning, match=f"process {process.pid}, .*CONT"):
            perdure.connect(folder, timeout=0.5)
        big = client.submit(Order(3), headers={"h": "x" * 8000})
        for _ in range(100):
            client.submit(Order(4), headers={"h": "x" * 8000})  # more than its buffer takes
        with pytest.raises(perdure.PerdureError):
            big.result(5)
        assert time.monotonic() - begun_s < 10
        os.kill(process.pid, signal.SIGCONT)

        def is_published(**options: Any) -> bool:
            with contextlib.suppress(perdure.PublishTimeout):  # its second is over before the owner has read what waits there
                return bool(client.publish(Order(2), **options))
            return False

        wait_until(lambda: is_published(id=doubt.value.ids[0]))
        wait_until(is_published)
    with perdure.connect(folder) as other:
        other.drain(PATIENCE_S)
        assert other.state(doubt.value.ids[0]).status == "completed"


def test_a_system_of_its_own_is_refused_and_told_how_to_share(start: Start, folder: Path) -> None:
    process = start()
    with pytest.raises(perdure.StoreLocked, match=rf"process {process.pid}\. .*shared=True.*perdure serve.*perdure\.connect"):
        perdure.System(folder).start()


def test_no_owner_is_an_error_that_says_what_to_do(folder: Path) -> None:
    with pytest.raises(perdure.NotRunning, match=r"no process owns .*shared=True"):
        perdure.connect(folder, timeout=0.1)


def test_an_owner_that_stops_in_good_order_hands_over_to_the_next(folder: Path) -> None:
    with shop(str(folder)):
        client = perdure.connect(folder)
        client.publish(Order(1))
    assert not (folder / "owner.sock").exists()
    future = client.submit(Order(2))
    with shop(str(folder)) as system:
        assert future.result(30)
        client.drain(30)
        assert system.admin.metrics().published == 2
        client.close()


def test_a_kill_of_any_actor_costs_a_client_nothing(owner: perdure.System, folder: Path) -> None:
    with perdure.connect(folder) as client:
        futures = []
        for name in ("queue", "journal", "dispatcher", "supervisor", "queue", "journal"):
            futures += [client.submit(Order(n)) for n in range(50)]
            owner.actors.kill(name)
            assert client.call(Quote(2), timeout=30) == 4
        assert len({future.result(30) for future in futures}) == 300
        client.drain(30)
        assert owner.admin.metrics().published == 306


# --- forks -----------------------------------------------------------------------------------------------------------------


def forked(work: Callable[[], object]) -> int:
    """Do something in a forked child; give its exit code: 0 where it went well."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001 - told below
            os.write(2, repr(error).encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_of_a_client_connects_anew_with_ids_of_its_own(start: Start, folder: Path) -> None:
    start()
    with perdure.connect(folder) as client:
        before = client.publish(Order(1))
        pending = client.submit(Order(2), delay=1)

        def child() -> None:
            assert client.publish(Order(3)) > before
            assert len({client.submit(Order(n)).result(20) for n in range(100)}) == 100
            client.close()

        assert forked(child) == 0
        assert pending.result(20)
        ids = [client.publish(Order(n)) for n in range(100)]
        assert len(set(ids)) == 100
        assert client.admin.metrics().published == 203


def test_a_forked_child_of_an_owner_keeps_none_of_its_sockets(folder: Path) -> None:
    with shop(str(folder)), perdure.connect(folder) as client:
        client.publish(Order(1))

        def child() -> None:
            for path in Path("/proc/self/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(path.readlink()).startswith("socket:"):
                        sock = socket.socket(fileno=os.dup(int(path.name)))
                        if sock.family == socket.AF_UNIX:
                            assert not str(sock.getsockname()).startswith(str(folder)), "a socket of the owner"

        assert forked(child) == 0
        assert client.publish(Order(2)), "the owner's own are untouched"


# --- the socket ------------------------------------------------------------------------------------------------------------


def test_the_socket_is_for_this_user_alone(owner: perdure.System, folder: Path) -> None:
    assert stat.S_IMODE((folder / "owner.sock").stat().st_mode) == 0o600
    assert [path.name for path in folder.glob("owner.sock*")] == ["owner.sock"]


def test_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / ("name" * 30)
    with shop(str(folder)), perdure.connect(folder) as client:
        assert client.call(Quote(2), timeout=10) == 4


def test_a_socket_that_a_dead_owner_left_is_replaced(folder: Path) -> None:
    folder.mkdir()
    stale, _ = bind_over(folder)
    stale.close()
    with shop(str(folder)), perdure.connect(folder) as client:
        assert client.publish(Order(1))


def test_an_owner_removes_no_socket_but_its_own(folder: Path) -> None:
    folder.mkdir()
    with shop(str(folder)):
        other, _ = bind_over(folder)
    assert (folder / "owner.sock").exists()
    other.close()


def test_another_user_is_refused(owner: perdure.System, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "peer_of", lambda _: (1, 12345))
    with pytest.raises(perdure.NotRunning, match="uid 12345"):
        perdure.connect(folder, timeout=0.3)


@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    hello=st.booleans(),
    parts=st.lists(
        st.binary(max_size=50)
        | st.builds(lambda body: len(body).to_bytes(4, "little") + body, st.binary(max_size=50))
        | st.builds(
            lambda kind, items: pack(kind, *items),
            st.sampled_from(Kind),
            st.lists(
                st.integers(0, 9) | st.text(max_size=9) | st.lists(st.integers(0, 9) | st.binary(max_size=9), max_size=5),
                max_size=4,
            ),
        )
        | st.builds(lambda body: pack(Kind.ASK, [1, 1, "queue", body]), st.binary(max_size=30)),
        max_size=4,
    ),
)
def test_hostile_bytes_cost_their_sender_its_connection_and_no_other_peer_anything(
    client: perdure.Client, folder: Path, *, hello: bool, parts: list[bytes]
) -> None:
    sock = connect_to(folder)
    with contextlib.suppress(OSError):
        sock.sendall(b"".join([pack(Kind.HELLO, PROTOCOL, "x")] * hello + parts))
    assert client.publish(Order(1))
    sock.close()


@pytest.mark.long(seconds=3)
def test_a_peer_that_does_not_read_is_dropped(
    owner: perdure.System, client: perdure.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "OUT_BYTES_MAX", 1 << 20)
    client.publish_many([Order(-n) for n in range(1, 501)])
    client.drain(PATIENCE_S * 2)
    sock = greeted(folder)
    selection = OBJECTS.packed(perdure.events.queue.searching.letter_search.Selection())
    with contextlib.suppress(OSError):
        for key in range(200):
            sock.sendall(pack(Kind.ASK, [key, 1, "dead_letters", selection]))
    server = server_of(owner)
    wait_until(lambda: server.peers == 1)
    assert client.publish(Order(1))
    sock.close()


def test_a_peer_that_says_nothing_is_dropped(
    owner: perdure.System, client: perdure.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "HELLO_S", 0.1)
    sock = connect_to(folder)
    server = server_of(owner)
    wait_until(lambda: server.peers == 2)
    wait_until(lambda: server.peers == 1)
    sock.close()
    assert client.publish(Order(1))


def test_a_peer_that_sends_half_a_frame_and_sleeps_is_dropped(
    owner: perdure.System, client: perdure.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "SILENT_S", 0.1)
    with greeted(folder) as sock:
        sock.sendall(pack(Kind.PING)[:-1])
        assert b"half a frame" in sock.recv(65536)
    assert client.publish(Order(1))


def test_a_thousand_connections_leave_nothing_behind(owner: perdure.System, client: perdure.Client, folder: Path) -> None:
    body = OBJECTS.packed(commands.AwaitResult(client.publish(Order(1), delay=1000, keep_result=60)))

    def visit() -> None:
        with greeted(folder) as sock:
            sock.sendall(pack(Kind.ASK, [1, 1, "queue", body]))

    server = server_of(owner)

    def gone() -> bool:
        client.state("x")  # the queue forgets what waits no longer when it looks at a request
        return server.peers == 1 and not owner.runtime.pending.outstanding

    with left_behind(visit, gone, before=200, times=800, objects=200) as left:
        assert left.threads <= 0
        assert left.descriptors <= 0
        assert left.objects < 200


def test_a_client_leaves_nothing_behind(owner: perdure.System, folder: Path) -> None:
    server = server_of(owner)

    def use() -> None:
        with perdure.connect(folder) as client:
            client.state("x")

    with left_behind(use, lambda: server.peers == 0, before=10, times=100, objects=100) as left:
        assert left.threads <= 0
        assert left.descriptors <= 0
        assert left.objects < 100


# --- long ------------------------------------------------------------------------------------------------------------------

KILLS = int(os.environ.get("PERDURE_TEST_KILLS", "30"))
PUBLISHER = """
import sys
import perdure
from tests.host.processes.shop import Order
client = perdure.connect(sys.argv[1], timeout=120)
with open(sys.argv[2], "w") as told:
    for n in range(10**9):
        try:
            ids = [client.submit(Order(n)) for _ in range(20)] + [client.publish(Order(n)), *client.publish_many([Order(n)] * 3)]
            ids = [i if isinstance(i, str) else i.result(120) for i in ids]
        except perdure.NotRunning:
            break
        told.write("".join(f"{i}\\n" for i in ids))
        told.flush()
        if sys.stdin in __import__("select").select([sys.stdin], [], [], 0)[0]:
            break
client.close()
"""


@pytest.mark.long(seconds=60)
@pytest.mark.timeout(1500)
def test_kills_of_the_owner_lose_nothing_and_double_nothing(start: Start, folder: Path, tmp_path: Path) -> None:
    import subprocess

    process = start()
    files = [tmp_path / f"told{n}" for n in range(3)]
    publishers = [Program(["-c", PUBLISHER, str(folder), str(file)], stdin=subprocess.PIPE) for file in files]
    try:
        for _ in range(KILLS):
            time.sleep(0.3)
            process.kill()
            process.wait()
            process = start()
        for publisher in publishers:
            assert publisher.stdin is not None
            publisher.stdin.close()
            assert publisher.wait(240) == 0
        with perdure.connect(folder, timeout=60) as client:
            client.drain(300)
            metrics = client.admin.metrics()
            told = [line for file in files for line in file.read_text().split()]
            assert len(told) == len(set(told)) > 100
            assert metrics.published == len(told), "each that a publisher heard of, once, and no other"
            assert metrics.completed + metrics.dead_lettered == metrics.published
            assert all(client.state(ident).known for ident in told[:: max(1, len(told) // 500)])
    finally:
        for publisher in publishers:
            publisher.kill()
            publisher.wait()
