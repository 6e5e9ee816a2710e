"""A fork while threads of the parent hold locks: each call in the child works or is refused, and none waits for them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

import perdure
from tests.host.forks.forked_calls import Job, Other, calls_of, check_refused, check_works, outcomes, start_under_way

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def test_calls_to_a_system_that_the_parent_runs(folder: Path) -> None:
    with perdure.System(folder) as system:
        ident = system.publish(Job(0))
        calls = calls_of(system, ident) | {"running": lambda: system.running, "handler": lambda: system.handler(Job)(print)}
        check_refused(outcomes(calls))
        found = outcomes({"start": system.start, "stop": system.stop})
        assert found["start"].startswith("StoreLocked: ")
        assert found["stop"] == "-> None"
        assert system.running


def test_calls_to_a_system_whose_start_is_under_way(folder: Path) -> None:
    system = perdure.System(folder)
    with start_under_way(system):
        found = outcomes({"publish": lambda: system.publish(Job(1)), "start": system.start, "stop": system.stop})
    assert found.pop("start").startswith("StoreLocked: ")
    check_refused(found)


@pytest.mark.parametrize("ran", [False, True])
def test_a_system_that_does_not_run_starts_in_the_child(folder: Path, *, ran: bool) -> None:
    system = perdure.System(folder)
    if ran:
        with system:
            system.publish(Job(0))
    calls = {"start": system.start, "publish": lambda: system.publish(Job(1)), "stop": system.stop}
    calls |= {"once more": system.start, "stop then": system.stop}
    check_works(outcomes(calls), {})


@pytest.mark.parametrize("spool", [False, True])
def test_calls_to_a_client(folder: Path, *, spool: bool) -> None:
    with perdure.System(folder, shared=True) as system:
        system.handler(Other)(print)
        with perdure.connect(folder, spool=spool) as client:
            ident = client.publish(Job(0))
            unlike = {"call": "UnknownMessageType: ", "result": "UnknownMessage: ", "drain": "TimeoutError: "}
            check_works(outcomes(calls_of(client, ident) | {"close": client.close}), unlike)


def test_a_relay_of_the_parent_relays_in_the_child(folder: Path, tmp_path: Path) -> None:
    import sqlite3

    table = tmp_path / "table.db"
    system = perdure.System(folder)
    relay = perdure.OutboxRelay(system, lambda: sqlite3.connect(table))
    with contextlib.closing(sqlite3.connect(table)) as connection:
        outbox = perdure.Outbox(connection)
        outbox.create_table()
        outbox.publish(Job(1))
        connection.commit()
    calls = {"start": system.start, "relay": relay.start, "once": relay.relay_once, "end": relay.stop, "stop": system.stop}
    check_works(outcomes(calls), {})
