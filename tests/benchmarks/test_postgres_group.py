"""The group `postgres`: both sides do what they are timed for, on a real server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from benchmarks.postgres import sides
from benchmarks.postgres.skip_locked import SkipLocked
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture
def database() -> Iterator[str]:
    """An empty database of its own; gives how to connect to it."""
    server, name = shared_server(), new_queue().replace(" ", "_")
    server.run(f"CREATE DATABASE {name}")
    yield server.dsn.replace("/postgres?", f"/{name}?")
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


def test_both_sides_publish_and_make_the_whole_trip(database: str) -> None:
    assert min(sides.publishing(database, 0.06, producers=2)) > 0
    assert min(sides.tripping(database, 0.06, size=10)) > 0


def test_the_queue_by_hand_handles_what_was_inserted_once(database: str) -> None:
    with SkipLocked(database) as by_hand:
        sent = by_hand.publish_many(0, 250)
        ended = threading.Event()
        ended.set()
        by_hand.work(100, ended)
        assert by_hand.handled == sent
