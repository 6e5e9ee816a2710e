"""`System.start` returns once every handler has all its workers, even where actors died meanwhile.

What is recovered is in test_recovery; what may not start at all in test_bad_folders.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.queue.queue import Queue
from perdure.actors.services.supervisor import Supervisor
from perdure.actors.workers.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0
HEAD_START_S = 0.2


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Errand:
    number: int


def with_handlers(folder: Path) -> perdure.System:
    """Return a system with a handler in threads and one on the event loop."""
    system = perdure.System(folder)

    @system.handler(Job, parallelism=12)
    def job(message: Job) -> None: ...

    @system.handler(Errand, parallelism=(2, 5))
    async def errand(message: Errand) -> None: ...

    return system


def at_work(system: perdure.System) -> dict[str, int]:
    """Return the number of running workers by handler."""
    living = [actor for name in system.actors if isinstance(actor := _actor(system, name), Worker) and actor.thread is not None]
    return {
        kind: sum(worker.pool.type.endswith(kind) and worker.thread.is_alive() for worker in living if worker.thread is not None)
        for kind in ("Job", "Errand")
    }


def _actor(system: perdure.System, name: str) -> Any:
    assert system._engine is not None
    return system._engine.runtime.directory.actors[name]


@pytest.mark.parametrize("while_running", [False, True])
def test_start_returns_when_the_last_worker_is_up(folder: Path, monkeypatch: pytest.MonkeyPatch, while_running: bool) -> None:
    """The supervisor starts workers slowly, so a `start` or `handler` that does not wait would return too early."""
    returned = threading.Event()
    start_actor = Supervisor._start_if_missing

    def slowly(self: Supervisor, name: str, pool: Any) -> None:
        if name.endswith(("Job:11", "Errand:1")):
            returned.wait(HEAD_START_S)
        start_actor(self, name, pool)

    monkeypatch.setattr(Supervisor, "_start_if_missing", slowly)
    if while_running:
        with perdure.System(folder) as system:
            system.handler(Job, parallelism=12)(lambda message: None)
            returned.set()
            assert at_work(system) == {"Job": 12, "Errand": 0}
        return
    system = with_handlers(folder)
    system.start()
    returned.set()
    try:
        assert at_work(system) == {"Job": 12, "Errand": 2}
        assert {info.workers for info in system.admin.handlers().values()} == {12, 2}
        assert "event_loop" in system.actors
    finally:
        system.stop()


@pytest.mark.parametrize("at", ["Job:0", "Job:7", "Errand:1", "event_loop"])
def test_start_outlives_a_supervisor_that_dies_while_it_start_if_missings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Its successor starts the others, the event loop too, and answers the caller."""
    killed: list[str] = []
    start_actor = Supervisor._start_if_missing

    def dies_once(self: Supervisor, name: str, pool: Any) -> None:
        if name.endswith(at) and not killed:
            killed.append(name)
            msg = "the supervisor dies of this"
            raise RuntimeError(msg)
        start_actor(self, name, pool)

    monkeypatch.setattr(Supervisor, "_start_if_missing", dies_once)
    with with_handlers(folder) as system:
        assert killed
        assert at_work(system) == {"Job": 12, "Errand": 2}
        system.publish_many([Errand(1), Job(2)])
        system.drain(timeout=PATIENCE_S)
        assert system.admin.metrics().failed == 0


def test_start_counts_what_an_operator_scaled(folder: Path) -> None:
    """A handler scaled to zero counts as started without a worker, also at the next start."""
    with with_handlers(folder) as system:
        system.admin.scale(Job, 0)
        system.admin.scale(Errand, 4)
    system.start()
    try:
        assert at_work(system) == {"Job": 0, "Errand": 4}
    finally:
        system.stop()


def test_a_start_waits_for_as_long_as_the_queue_recovers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """320,000 messages that were leased when the process died took longer than a minute on a slow machine: no start opened them."""
    monkeypatch.setattr("perdure.runtime.engine.ASK_TIMEOUT_S", 0.01)
    monkeypatch.setattr("perdure.runtime.engine.LOOK_S", 0.01)
    begin = Queue.term_begun

    def slowly(self: Queue, states: Any, seq: int) -> None:
        time.sleep(0.3)
        begin(self, states, seq)

    monkeypatch.setattr(Queue, "term_begun", slowly)
    with perdure.System(folder) as system:
        assert system.recovery is not None


def test_a_start_that_is_interrupted_while_the_queue_recovers_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, free = threading.Event(), threading.Event()
    begin = Queue.term_begun

    def stuck(self: Queue, states: Any, seq: int) -> None:
        begun.set()
        free.wait(60.0)
        begin(self, states, seq)

    monkeypatch.setattr(Queue, "term_begun", stuck)
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        begun.wait(60.0)
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.5)
        free.set()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        perdure.System(folder).start()
    monkeypatch.undo()
    with perdure.System(folder) as system:
        assert system.running
