"""Every death counts against a budget, the supervisor's included; and an exception in one request stops nothing else."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.core.threads.answer import Answer
from perdure.actors.services.supervisor import Supervisor
from perdure.actors.workers.worker import Worker
from perdure.events.handlers import registry as handlers
from perdure.events.queue import decisions as queue_rules
from perdure.events.queue.searching import letter_search
from perdure.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    n: int


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.002)


@pytest.mark.parametrize("where", ["on_start", "turn", "_restart"])
def test_a_supervisor_that_dies_again_and_again_stops_the_system(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """It used to die 110,000 times without a log line."""
    system = perdure.System(store=MemoryStore(), options=perdure.Options(restart_budget=3))
    deaths: list[int] = []

    def die(*_: object) -> None:
        deaths.append(1)
        raise RuntimeError("broken for good")

    with system, caplog.at_level(logging.ERROR, logger="perdure"):
        with monkeypatch.context() as patch:
            patch.setattr(Supervisor, where, die)
            if where == "on_start":
                system.actors.kill("supervisor")
            for _ in range(30):
                if system.running and "supervisor" in system.actors:
                    system.actors.kill("timer")
                    time.sleep(0.005)
            until(lambda: not system.running)
        with pytest.raises(perdure.NotRunning, match=r"supervisor died 4 times.*broken for good") as caught:
            system.publish(Job(1))
        assert isinstance(caught.value.__cause__, RuntimeError)
        told = [record.getMessage() for record in caplog.records]
        assert sum("actor supervisor died" in line for line in told) == 4
        assert any("the system has stopped" in line for line in told)
    assert len(deaths) <= 8
    with system:
        assert system.publish(Job(2))


def test_the_death_of_a_supervisor_clears_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts of the budget outlive it."""
    system = perdure.System(store=MemoryStore(), options=perdure.Options(restart_budget=3))
    with system:
        monkeypatch.setattr("perdure.actors.services.timer.Timer.turn", lambda *_: 1 / 0)
        for _ in range(200):
            if not system.running:
                break
            system.actors.kill("supervisor")
            time.sleep(0.01)
        until(lambda: not system.running)
        with pytest.raises(perdure.NotRunning, match=r"timer died \d+ times"):
            system.publish(Job(1))


def test_a_worker_that_cannot_begin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    system = perdure.System(store=MemoryStore(), options=perdure.Options(restart_budget=3))
    system.handler(Job)(lambda job: None)
    monkeypatch.setattr(type(system.drafts), "loader", lambda *_: 1 / 0)
    with pytest.raises((perdure.NotRunning, TimeoutError), match=r"worker:.*Job:0 died 4 times"):
        system.start()
    assert not system.running


def test_a_worker_is_not_at_work_before_its_beginning_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that looked at its thread alone returned, and the system died a moment later, of what the start is to say."""
    system = perdure.System(store=MemoryStore(), options=perdure.Options(restart_budget=3))
    system.handler(Job)(lambda job: None)
    looked, is_staffed = threading.Event(), Supervisor._is_staffed

    def look(supervisor: Supervisor) -> bool:
        began = any(isinstance(actor, Worker) and supervisor.executor.runs(actor) for actor in list(supervisor.actors.values()))
        answer = is_staffed(supervisor)
        if began:
            looked.set()
        return answer

    def fail_once_it_was_looked_for(_: Worker) -> None:
        assert looked.wait(PATIENCE_S)
        looked.clear()
        raise ZeroDivisionError

    monkeypatch.setattr(Supervisor, "_is_staffed", look)
    monkeypatch.setattr(Worker, "on_start", fail_once_it_was_looked_for)
    with pytest.raises((perdure.NotRunning, TimeoutError), match=r"worker:.*Job:0 died 4 times"):
        system.start()
    assert not system.running


def test_the_system_goes_on_without_a_thread_for_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """More workers were asked for than the machine gives: the others go on, and the missing ones come when they can."""
    system = perdure.System(store=MemoryStore(), options=perdure.Options(restart_budget=3))
    handled: list[int] = []
    system.handler(Job)(lambda job: handled.append(job.n))
    start = Worker.start_thread
    exhausted = threading.Event()

    def start_thread(worker: Worker) -> None:
        if exhausted.is_set():
            raise RuntimeError("can't start new thread")
        start(worker)

    monkeypatch.setattr(Worker, "start_thread", start_thread)
    with system:
        exhausted.set()
        system.admin.scale(Job, 20)
        system.publish(Job(1))
        system.drain(timeout=PATIENCE_S)
        assert handled == [1]
        exhausted.clear()
        until(lambda: system.admin.handlers()[f"{__name__}.Job"].workers == 20)
        until(lambda: all(system.runtime.executor.runs(a) for a in list(system.runtime.directory.actors.values())))
        assert system.running


# --- requests --------------------------------------------------------------------------------------------------------------------


def test_a_snapshot_of_a_damaged_log_fails_its_request_only(tmp_path: Path) -> None:
    """The system goes on, however often it is asked."""
    folder = tmp_path / "data"
    with perdure.System(folder) as system:
        for n in range(10):
            system.publish(Job(n))
        segment = next(folder.glob("log-*.seg"))
        with segment.open("r+b") as file:
            file.seek(200)
            file.write(b"\xff" * 32)
        for _ in range(12):
            with pytest.raises(perdure.StoreCorrupt):
                system.admin.snapshot()
        assert system.running
        assert system.publish(Job(11))
        assert system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 0


NOTHING: dict[str, object] = {}
REQUESTS: dict[str, tuple[Any, str, Callable[[perdure.System], object]]] = {
    "scale": (handlers, "decide", lambda system: system.admin.scale(Job, 2)),
    "configure": (handlers, "decide", lambda system: system.admin.configure(Job, retries=3)),
    "pause": (handlers, "decide", lambda system: system.admin.pause(Job)),
    "resume": (handlers, "decide", lambda system: system.admin.resume(Job)),
    "list": (letter_search, "selecting", lambda system: system.dead_letters.list()),
    "stats": (letter_search, "stats", lambda system: system.dead_letters.stats()),
    "cancel": (queue_rules, "decide", lambda system: system.cancel("an-id")),
    "checkout": (queue_rules, "decide", lambda system: system.checkout(Job)),
    "snapshot": (MemoryStore, "save_snapshot", lambda system: system.admin.snapshot()),
    "history": (MemoryStore, "retire_history", lambda system: system.admin.snapshot()),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_an_exception_in_a_request_fails_that_request_only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also an error that no rule raises on purpose: the request is refused once, no actor dies, the next one is answered."""
    module, function, call = REQUESTS[name]
    system = perdure.System(store=MemoryStore())
    system.handler(Job)(lambda job: None)
    with system:
        system.publish(Job(1))
        system.drain(timeout=PATIENCE_S)
        with monkeypatch.context() as patch:
            patch.setattr(module, function, lambda *_args, **_named: NOTHING["no such key"])
            with pytest.raises(perdure.PerdureError, match="no such key"):
                call(system)
        call(system)
        assert system.running
        assert system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 0


def test_an_end_that_a_kill_cut_off_is_completed_by_the_next_one() -> None:
    """The reason is the first one's; callers that the first did not come to are refused by the second."""
    system = perdure.System(store=MemoryStore())
    system.handler(Job)(lambda job: None)
    with system:
        runtime = system.runtime
        runtime.health.failed = perdure.NotRunning("the first")  # and here its thread was killed
        answer = Answer()
        runtime.pending.send("nobody", "asked", answer)
        runtime.budget.stop_for_good("the second", RuntimeError())
        with pytest.raises(perdure.NotRunning, match="the first"):
            answer.wait(0)
        assert all(pool.closed for pool in runtime.pools.by_type.values())
