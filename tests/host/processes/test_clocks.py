"""Processes on one folder whose clocks differ, since they did not all live through a correction of the wall clock.

What is published with `ttl=` or `delay=` keeps its length, whichever of two processes is ahead, and `at=` its moment.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.events import vocabulary as ev
from tests.host.processes.clocked import Item, Parent, ahead
from tests.programs import Program
from tests.records import events_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_S = 3600.0
APART = pytest.mark.parametrize(("owner_s", "other_s"), [(HOUR_S, 0.0), (0.0, HOUR_S), (HOUR_S, 2 * HOUR_S)])
"""By how much the clock of the owner is ahead of the wall clock, and that of the other process."""
NEAR_S = 20.0
"""For a slow machine; and while a clock is ahead, it goes a tenth slower."""


class Clocked:
    """A program of `clocked`."""

    def __init__(self, kind: str, folder: Path, ahead_s: float) -> None:
        words = [str(Path(__file__).with_name("clocked.py")), kind, str(folder), str(ahead_s)]
        self._program = Program(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._read() == "up"

    def _read(self) -> str:
        assert self._program.stdout is not None
        return str(json.loads(self._program.stdout.readline()))

    def publish(self, **options: Any) -> str:
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(options) + "\n")
        self._program.stdin.flush()
        return self._read()

    def kill(self) -> None:
        self._program.kill()
        self._program.wait()
        self._program.close()


@contextlib.contextmanager
def clocked(kind: str, folder: Path, ahead_s: float) -> Iterator[Clocked]:
    program = Clocked(kind, folder, ahead_s)
    try:
        yield program
    finally:
        program.kill()


def owner_of(folder: Path, ahead_s: float) -> perdure.System:
    system: perdure.System = ahead(ahead_s, lambda: perdure.System(folder, shared=True))
    return system


def published_by(system: perdure.System) -> dict[str, ev.Published]:
    return {event.id: event for event in events_of(ev.Published, system.audit.events(type="Published"))}


def is_left(seconds: float, us: int, system: perdure.System) -> bool:
    """Return whether so much is left until a moment by the owner's clock."""
    return abs((us - system.clock.now_us()) / 1e6 - seconds) < NEAR_S


@APART
def test_a_ttl_and_a_delay_keep_their_lengths_from_a_client_with_another_clock(
    folder: Path, owner_s: float, other_s: float
) -> None:
    """Of a client that had started after a correction, `ttl=60` was expired when it arrived, and `delay=600` was due at once."""
    with owner_of(folder, owner_s) as system, clocked("client", folder, other_s) as client:
        brief, late = client.publish(ttl=60), client.publish(delay=600)
        assert [system.state(ident).status for ident in (brief, late)] == ["ready", "delayed"]
        published = published_by(system)
        assert is_left(60, published[brief].expires_us, system)
        assert is_left(600, published[late].due_us, system)


@APART
def test_at_is_the_moment_that_it_says_from_a_client_with_another_clock(folder: Path, owner_s: float, other_s: float) -> None:
    with owner_of(folder, owner_s) as system, clocked("client", folder, other_s) as client:
        ident = client.publish(at=time.time() + 300)
        published = published_by(system)
        assert is_left(300, published[ident].due_us, system)


@APART
def test_what_is_spooled_keeps_its_lengths_under_an_owner_with_another_clock(folder: Path, owner_s: float, other_s: float) -> None:
    with clocked("spooling", folder, other_s) as client:
        brief, late = client.publish(ttl=60), client.publish(delay=600)
        with owner_of(folder, owner_s) as system:
            assert [system.state(ident).status for ident in (brief, late)] == ["ready", "delayed"]


@APART
def test_a_members_handlers_run_and_what_they_publish_keeps_its_lengths(folder: Path, owner_s: float, other_s: float) -> None:
    """A member that was ahead took each lease for one that had run out, and gave all deliveries back, again and again."""
    with owner_of(folder, owner_s) as system, clocked("member", folder, other_s):
        brief = system.result(system.publish(Parent(60), keep_result=600), timeout=30)
        assert system.state(brief).status == "ready"
        published = published_by(system)
        assert is_left(60, published[brief].expires_us, system)


def test_a_client_that_is_ahead_of_the_owner_purges_no_dead_letter_that_is_younger_than_it_says(folder: Path) -> None:
    with owner_of(folder, 0.0) as system, ahead(HOUR_S, lambda: perdure.connect(folder)) as client:

        @system.handler(Item)
        def item(_: Item) -> None:
            raise perdure.Reject("no such item")

        client.publish(Item(1))
        client.drain(30)
        assert client.dead_letters.purge(older_than=600) == 0
        assert client.dead_letters.purge(older_than=0) == 1


@pytest.mark.parametrize("owner_s", [0.0, HOUR_S])
@pytest.mark.parametrize("other_s", [0.0, HOUR_S])
def test_rows_of_an_outbox_keep_their_lengths_whatever_the_clocks(folder: Path, owner_s: float, other_s: float) -> None:
    path = folder.with_suffix(".db")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        outbox = ahead(other_s, lambda: perdure.Outbox(connection))
        outbox.create_table()
        brief, late = outbox.publish(Item(1), ttl=60), outbox.publish(Item(2), delay=600)
    system = owner_of(folder, owner_s)
    relay = perdure.OutboxRelay(system, lambda: sqlite3.connect(path))
    with system:
        relay.relay_once()
        assert [system.state(ident).status for ident in (brief, late)] == ["ready", "delayed"]


def test_the_owners_own_publishes_keep_their_lengths(folder: Path) -> None:
    with owner_of(folder, HOUR_S) as system:
        brief = system.publish(Item(1), ttl=60)
        late = system.publish(Item(2), at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=300))
        published = published_by(system)
        assert is_left(60, published[brief].expires_us, system)
        assert is_left(300, published[late].due_us, system)
