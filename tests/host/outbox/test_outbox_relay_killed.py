"""A relay that is killed keeps nothing of the host's database: not by its frames, and not until the garbage collector comes."""

from __future__ import annotations

import gc
import sqlite3
import threading
import weakref
from typing import TYPE_CHECKING

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until


class Held:
    """What the relay is at work with when it dies."""


def test_a_relay_that_is_killed_lets_go_of_what_it_was_at_work_with(tmp_path: Path, until: Until) -> None:
    database = tmp_path / "host.db"
    with sqlite3.connect(database) as connection:
        perdure.Outbox(connection).create_table()
    at_work = threading.Event()
    kept: list[weakref.ref[Held]] = []

    def connect() -> sqlite3.Connection:
        held = Held()
        if not kept:
            kept.append(weakref.ref(held))
            at_work.set()
            while True:
                threading.Event().wait(0.001)
        return sqlite3.connect(database)

    system = perdure.System(tmp_path / "data")
    gc.disable()
    try:
        with system, perdure.OutboxRelay(system, connect, every_s=0.005):
            assert at_work.wait(60)
            system.actors.kill("relay")
            until(lambda: system.admin.metrics().runtime_counters.get("actor_restarts", 0) == 1)
            until(lambda: kept[0]() is None)
    finally:
        gc.enable()


def test_an_outbox_that_is_done_with_keeps_no_connection(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "host.db", factory=Connection)
    perdure.Outbox(connection).create_table()
    kept = weakref.ref(connection)
    gc.disable()
    try:
        connection.close()
        del connection
        assert kept() is None
    finally:
        gc.enable()


class Connection(sqlite3.Connection):
    """One that can be referred to weakly."""
