"""The database answers nothing at all: a stop ends all the same, within what is documented."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.cluster import joining_and_leaving
from perdure.runtime import actor_shutdown
from tests.host.cluster.accounts import Order
from tests.postgres_server import Server, check_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GRACE_S = 1.0
REST_S = 10.0
"""In the place of the minute and the half that stops wait beyond their grace period."""
SLACK_S = 24.0


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test's own, whose processes go on at the end."""
    check_installed()
    made = Server()
    yield made
    signal_all(made, signal.SIGCONT)
    made.remove()


def signal_all(server: Server, number: signal.Signals) -> None:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in [server.pid, *map(int, children)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def system_of(server: Server) -> perdure.System:
    return perdure.System(store=perdure.PostgresStore(server.dsn, name="one"))


def cluster_of(server: Server) -> perdure.Cluster:
    return perdure.Cluster(server.dsn, name="many", partitions=2)


@pytest.mark.long(seconds=46)
@pytest.mark.parametrize("make", [system_of, cluster_of])
def test_a_stop_ends_beside_a_server_that_hangs(
    server: Server, make: Callable[[Server], perdure.System | perdure.Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_shutdown, "QUIESCE_MAX_S", REST_S)
    monkeypatch.setattr(actor_shutdown.ActorShutdown.bring_to_rest, "__defaults__", (REST_S, None))
    monkeypatch.setattr(joining_and_leaving, "STOP_S", REST_S)
    system = make(server)
    system.start()
    system.publish(Order("there"))
    signal_all(server, signal.SIGSTOP)
    began_s = time.monotonic()
    thread = threading.Thread(target=system.stop, args=(GRACE_S,), daemon=True)
    thread.start()
    thread.join(GRACE_S + REST_S + SLACK_S)
    assert not thread.is_alive()
    assert time.monotonic() - began_s > GRACE_S, "it has waited for the database"
    signal_all(server, signal.SIGCONT)
    again = make(server)
    with again:
        assert again.admin.metrics().published == 1
