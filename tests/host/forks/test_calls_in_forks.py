"""A fork while threads of the parent hold locks: each call in the child works or is refused, and none waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pytest

import perdure
from tests.held_locks import all_locks_held
from tests.host.forks.test_forked import FORK, PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALL_S = 15.0
"""Each call may take so long: a start reads a log."""

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")

Calls: TypeAlias = "dict[str, Callable[[], Any]]"


@attrs.frozen
class Job:
    n: int


@attrs.frozen
class Other:
    n: int


def _outcome(call: Callable[[], Any]) -> str:
    outcome = ["hangs"]

    def make() -> None:
        try:
            outcome[0] = f"-> {call()!r}"
        except BaseException as error:  # noqa: BLE001 - any exception is sent to the parent
            outcome[0] = f"{type(error).__name__}: {error}"

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    thread.join(CALL_S)
    return outcome[0]


def _make_all(sending: Any, calls: Calls) -> None:
    for name, call in calls.items():
        sending.send((name, _outcome(call)))
    sending.send(None)


def outcomes(calls: Calls) -> dict[str, str]:
    """Return what came of each call in a child that was forked while all locks were held, in the order of the calls."""
    receiving, sending = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_make_all, args=(sending, calls))
    with all_locks_held() as count:
        assert count > 0
        child.start()
    found: dict[str, str] = {}
    try:
        while receiving.poll(2 * PATIENCE_S) and (one := receiving.recv()) is not None:
            found[one[0]] = one[1]
        assert list(found) == list(calls), "the child hangs, or has ended"
        return found
    finally:
        child.kill()
        child.join()


def calls_of(front: Any, ident: str) -> Calls:
    """Return calls of all parts of a front door: publishing, results, consuming, operating, reading."""

    def coroutine(name: str, *args: Any, **options: Any) -> Callable[[], Any]:
        async def make() -> Any:
            return await getattr(front, name)(*args, **options)

        return lambda: asyncio.run(make())

    return {
        "repr": lambda: repr(front),
        "publish": lambda: front.publish(Job(1)),
        "publish_many": lambda: front.publish_many([Job(1), Job(2)]),
        "submit": lambda: front.submit(Job(1)).result(CALL_S),
        "apublish": coroutine("apublish", Job(1)),
        "call": lambda: front.call(Job(1), timeout=0.1),
        "state": lambda: front.state(ident).status,
        "astate": coroutine("astate", ident),
        "result": lambda: front.result(ident, timeout=0.1),
        "cancel": lambda: front.cancel(ident),
        "checkout": lambda: front.checkout(Job),
        "drain": lambda: front.drain(timeout=0.1),
        "metrics": lambda: front.admin.metrics().published > 0,
        "handlers": lambda: len(front.admin.handlers()),
        "pause": lambda: front.admin.pause(Job),
        "dead letters": front.dead_letters.list,
        "timeline": lambda: len(list(front.audit.timeline(ident))),
        "verify": lambda: bool(front.audit.verify()),
    }


WORK_ANYWHERE = {"repr", "timeline", "verify", "running", "partitions", "handler", "stop", "once more"}


def check_refused(found: dict[str, str], works: set[str] = WORK_ANYWHERE) -> None:
    """Check that each call was refused, with what says of a fork, or needs no threads."""
    for name, outcome in found.items():
        if name in works:
            assert outcome.startswith("-> "), (name, outcome)
        else:
            assert outcome.startswith("NotRunning: "), (name, outcome)
            assert f"forked from process {os.getpid()}" in outcome, (name, outcome)


def check_works(found: dict[str, str], refused: dict[str, str]) -> None:
    """Check that each call worked, but for those that end otherwise here, in any process."""
    for name, outcome in found.items():
        assert outcome.startswith(refused.get(name, "-> ")), (name, outcome)


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
    is_in_hook, may_go_on = threading.Event(), threading.Event()
    system = perdure.System(folder)

    @system.on_start
    def wait() -> None:
        is_in_hook.set()
        may_go_on.wait(4 * PATIENCE_S)

    starting = threading.Thread(target=system.start)
    starting.start()
    is_in_hook.wait()
    try:
        found = outcomes({"publish": lambda: system.publish(Job(1)), "start": system.start, "stop": system.stop})
    finally:
        may_go_on.set()
        starting.join()
        system.stop()
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
