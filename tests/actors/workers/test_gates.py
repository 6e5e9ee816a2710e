"""Workers of several runs of one process: only so many call at once as one run has, and none while its lease has passed."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from perdure.actors.workers.gates.gate import Gates, RunGate

PATIENCE_S = 20.0


def worker_of(pool: Any, name: str) -> Any:
    token = object()
    pool.workers[name] = token
    return SimpleNamespace(name=name, token=token, killed=False, pool=pool, thread=threading.current_thread())


@pytest.fixture
def pools() -> list[Any]:
    """Pools of one type in two runs."""
    return [SimpleNamespace(type="order", workers={}, closed=False) for _ in range(2)]


def entering(gates: Gates, worker: Any) -> tuple[threading.Thread, threading.Event]:
    inside = threading.Event()

    def enter() -> None:
        gates.enter(worker)
        inside.set()

    thread = threading.Thread(target=enter, daemon=True)  # a test that fails leaves it waiting
    thread.start()
    return thread, inside


def test_a_worker_of_another_run_waits_until_one_has_left(pools: list[Any]) -> None:
    gates, first, second = Gates(), worker_of(pools[0], "first"), worker_of(pools[1], "second")
    gates.enter(first)
    thread, inside = entering(gates, second)
    while not gates.others_wait(first):
        threading.Event().wait(0.001)
    assert not inside.is_set()
    gates.leave(first)
    assert inside.wait(PATIENCE_S)
    thread.join()


def test_a_worker_that_died_inside_keeps_no_place(pools: list[Any]) -> None:
    gates, first, second = Gates(), worker_of(pools[0], "first"), worker_of(pools[1], "second")
    gates.enter(first)
    thread, inside = entering(gates, second)
    worker_of(pools[0], "first")  # its successor has another token
    assert inside.wait(PATIENCE_S)
    thread.join()


def ended_thread() -> threading.Thread:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return thread


@pytest.mark.parametrize("end", ["its thread has died", "it is left behind in a handler"])
def test_a_worker_whose_run_has_ended_keeps_no_place(pools: list[Any], end: str) -> None:
    gates, first, second = Gates(), worker_of(pools[0], "first"), worker_of(pools[1], "second")
    gates.enter(first)  # killed on its way in: it never leaves, and no successor takes its name
    thread, inside = entering(gates, second)
    while not gates.others_wait(first):
        threading.Event().wait(0.001)
    if end == "its thread has died":
        first.thread = ended_thread()
    else:
        first.killed = first.pool.closed = True
    assert inside.wait(PATIENCE_S)
    thread.join()


@pytest.mark.parametrize("ends", ["killed", "closed"])
def test_a_worker_that_is_to_end_does_not_wait(pools: list[Any], ends: str) -> None:
    gates, first, second = Gates(), worker_of(pools[0], "first"), worker_of(pools[1], "second")
    gates.enter(first)
    thread, _ = entering(gates, second)
    setattr(second if ends == "killed" else second.pool, ends, True)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert not gates.others_wait(first)


def test_nothing_begins_while_the_lease_has_passed(pools: list[Any]) -> None:
    has_passed = [True]
    gate = RunGate(Gates(), lambda: has_passed[0], MagicMock())
    begun = threading.Event()

    def begin() -> None:
        gate.check_lease(worker_of(pools[0], "first"))
        begun.set()

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    assert not begun.wait(0.12)
    has_passed[0] = False
    assert begun.wait(PATIENCE_S)
    thread.join()
