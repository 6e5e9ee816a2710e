"""An exception that is thrown into a thread that serves a queue in PostgreSQL, and is no actor's, costs no caller its answer."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.actors.core.threads.async_exceptions import throw
from perdure.store.files.folder_reader import FolderReader
from tests.host.cluster.conftest import LEASE_S
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from tests.host.conftest import Until

pytestmark = [
    pytest.mark.xdist_group("postgres"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

STRAY: list[type[BaseException]] = [SystemExit, KeyboardInterrupt, MemoryError]


@attrs.frozen
class Ask:
    n: int


def thread_named(name: str, before: Collection[threading.Thread]) -> threading.Thread:
    """Return a thread of a name that has begun since."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name) and thread not in before][-1]


def times_told(log: pytest.LogCaptureFixture) -> int:
    """Return how often a thread has said that an exception was raised in it: at large, or where it handles all of a kind."""
    return log.text.count("; it goes on: ") + log.text.count("\nMemoryError")


def hit(thread: threading.Thread, error: type[BaseException], log: pytest.LogCaptureFixture, wake: Callable[[], object]) -> None:
    """Throw an exception into a thread, and go on with what may wake it until it was raised there."""
    times = times_told(log)
    throw(thread.ident or 0, error)
    until_s = time.monotonic() + PATIENCE_S
    while times_told(log) == times:
        assert time.monotonic() < until_s
        wake()
        time.sleep(0.01)


@pytest.mark.parametrize("error", STRAY)
@pytest.mark.parametrize("name", ["perdure-lease-", "perdure-channels", "perdure-tunnel", "perdure-ingress"])
def test_a_client_is_served_on(name: str, error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    before = threading.enumerate()
    queue = new_queue()
    with ExitStack() as stack:
        store = perdure.PostgresStore(shared_server().dsn, name=queue, lease=LEASE_S)
        system = perdure.System(store=store)
        system.handler(Ask)(lambda ask: 2 * ask.n)
        stack.enter_context(system)
        client = stack.enter_context(perdure.connect(shared_server().dsn, name=queue))
        assert client.call(Ask(1), timeout=PATIENCE_S) == 2
        published: list[str] = []

        def use() -> None:
            published.append(client.publish(Ask(0)))  # through the thread that writes
            assert client.state(published[-1]).known  # through a tunnel

        for n in range(1 if name == "perdure-lease-" else 3):
            thread = thread_named(name, before)  # that of a tunnel ends with its connection, and another has the next
            hit(thread, error, caplog, use)
            assert client.call(Ask(n), timeout=PATIENCE_S) == 2 * n
            client.drain(timeout=PATIENCE_S)
            assert all(client.state(ident).status == "completed" for ident in published)
        until_s = time.monotonic() + (LEASE_S if name == "perdure-lease-" else 0.0)
        while time.monotonic() < until_s:  # the lease would have passed
            assert system.publish(Ask(1))
            time.sleep(0.05)
        assert system.running


@pytest.mark.parametrize("error", STRAY)
def test_a_node_keeps_its_partitions_and_stops_in_order(error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    before = threading.enumerate()
    cluster = perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=2, lease=LEASE_S)
    cluster.handler(Ask)(lambda ask: 2 * ask.n)
    with cluster:
        thread = thread_named("perdure-node", before)
        for _ in range(3):
            hit(thread, error, caplog, lambda: None)
        time.sleep(LEASE_S)  # the leases would have passed
        assert {info.epoch for info in cluster.partitions()} == {1}
        assert cluster.call(Ask(2), timeout=PATIENCE_S) == 4
        throw(thread.ident or 0, error)  # and once more, at the stop
    assert not [info for info in cluster.partitions() if info.owner]


@pytest.mark.parametrize("error", STRAY)
def test_a_hold_on_history_is_kept_young(
    folder: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr("perdure.store.files.folder_reader.HOLD_FILE_S", 0.2)
    with perdure.System(folder) as system:
        system.publish(Ask(1))
    before = threading.enumerate()
    reader = FolderReader(folder)
    touched: list[float] = []
    monkeypatch.setattr(reader.disk, "touch", lambda _path: touched.append(time.monotonic()), raising=False)
    with reader.hold_history():
        until(lambda: len(touched) > 1)
        throw(thread_named("perdure-hold", before).ident or 0, error)
        count = len(touched)
        until(lambda: len(touched) > count + 3)
