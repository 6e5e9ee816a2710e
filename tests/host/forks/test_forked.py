"""A forked child of a process whose System runs: its calls are refused at once, and it changes nothing of its parent."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.runtime.engine import Engine
from perdure.runtime.process import live_systems
from tests.programs import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 30.0
FORK = multiprocessing.get_context("fork")

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@attrs.frozen
class Job:
    n: int


def _tell(sending: Any, work: Callable[[], Any]) -> None:
    try:
        sending.send(work())
    except BaseException as error:  # noqa: BLE001 - any exception is sent to the parent
        sending.send(f"{type(error).__name__}: {error}")


def in_a_child(work: Callable[[], Any]) -> Any:
    """Return what a call returns in a forked child, or the name and text of its exception."""
    receiving, sending = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_tell, args=(sending, work))
    child.start()
    try:
        assert receiving.poll(PATIENCE_S), "the child hangs"
        answer = receiving.recv()
        child.join(PATIENCE_S)
        assert child.exitcode == 0
        return answer
    finally:
        child.kill()


def calls_of(system: perdure.System, ident: str, delivery: perdure.Delivery[Any]) -> dict[str, Callable[[], Any]]:
    async def apublish() -> None:
        await system.apublish(Job(1))

    async def adrain() -> None:
        await system.adrain()

    def coroutine(made: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: asyncio.run(made())

    return {
        "publish": lambda: system.publish(Job(1)),
        "publish with options": lambda: system.publish(Job(1), key="k"),
        "publish_many": lambda: system.publish_many([Job(1)]),
        "submit": lambda: system.submit(Job(1)),
        "apublish": coroutine(apublish),
        "adrain": coroutine(adrain),
        "call": lambda: system.call(Job(1)),
        "result": lambda: system.result(ident),
        "cancel": lambda: system.cancel(ident),
        "checkout": lambda: system.checkout(Job),
        "ack": delivery.ack,
        "drain": system.drain,
        "metrics": system.admin.metrics,
        "handlers": system.admin.handlers,
        "pause": system.admin.pause,
        "snapshot": system.admin.snapshot,
        "dead letters": system.dead_letters.list,
        "purge": system.dead_letters.purge,
        "actors": system.actors.keys,
    }


def test_every_call_in_a_child_says_at_once_that_it_was_forked(folder: Path) -> None:
    with perdure.System(folder) as system:
        ident = system.publish(Job(0))
        delivery = system.checkout(Job)
        assert delivery is not None
        calls = calls_of(system, ident, delivery)

        def all_of_them() -> dict[str, str]:
            output = {"running": str(system.running)}
            for name, call in calls.items():
                try:
                    output[name] = repr(call())
                except perdure.PerdureError as error:
                    output[name] = f"{type(error).__name__}: {error}"
            return output

        output = in_a_child(all_of_them)
        assert output.pop("running") == "False"
        for name, error in output.items():
            assert error.startswith("NotRunning: "), (name, error)
            assert f"forked from process {os.getpid()}" in error, name
            assert "after the fork" in error, name
        delivery.ack()
        assert system.admin.metrics().completed == 1


def test_a_child_leaves_its_parents_system_alone(folder: Path) -> None:
    """The child leaves the `with` block, stops, and ends; the parent goes on, and no other process gets the folder meanwhile."""
    with perdure.System(folder) as system:

        def leave() -> bool:
            system.__exit__(None, None, None)
            system.stop()
            return system.running

        assert in_a_child(leave) is False
        assert system.running
        for n in range(20):
            system.publish(Job(n))
        with pytest.raises(perdure.StoreLocked):
            perdure.System(folder).start()
    assert perdure.Audit(folder).verify().ok


def test_a_child_that_exits_as_a_program_does_stops_nothing(folder: Path) -> None:
    """With `os.fork` the exit of the child runs the functions registered with atexit."""
    script = """
import os, sys, attrs, perdure
@attrs.frozen
class Job:
    n: int
with perdure.System(sys.argv[1]) as system:
    system.publish(Job(1))
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    for n in range(10):
        system.publish(Job(n))
    assert system.admin.metrics().ready == 11
"""
    done = run(["-c", script, str(folder)], timeout=60)
    assert done.returncode == 0, done.stderr
    events = [record.name for record in perdure.Audit(folder).events()]
    assert events.count("Stopped") == 1


def test_a_future_of_the_parent_fails_in_the_child(folder: Path) -> None:
    system = perdure.System(folder, options=perdure.Options(backlog_max=1, publish_timeout_s=PATIENCE_S))
    with system:
        system.publish(Job(0))
        waits = system.submit(Job(1))  # for room
        alone = system.submit(Job(2), key="k")

        def look() -> str:
            output = []
            for future in (waits, alone):
                try:
                    output.append(future.result(timeout=PATIENCE_S))
                except perdure.NotRunning as error:
                    output.append(str(error))
            return " | ".join(output)

        assert in_a_child(look).count("forked from") == 2
        assert not waits.done()
        delivery = system.checkout(Job)
        assert delivery is not None
        delivery.ack()
        assert waits.result(PATIENCE_S)


def test_what_is_read_in_the_child_is_true(folder: Path) -> None:
    """Audit needs no actors: it also reads what the parent wrote after the fork."""
    with perdure.System(folder) as system:
        ident = system.publish(Job(0))
        assert in_a_child(lambda: [record.name for record in system.audit.timeline(ident)]) == ["Published"]


def test_a_system_made_before_the_fork_starts_after_it(folder: Path, tmp_path: Path) -> None:
    """Children start a system after the fork, as under gunicorn with `--preload`; their ids differ."""
    system = perdure.System(folder)
    seen = FORK.SimpleQueue()
    system.handler(Job)(lambda job, ctx: seen.put(ctx.id))

    def serve() -> str:
        with system:
            ident = system.publish(Job(1))
            system.drain(timeout=PATIENCE_S)
            return ident

    first, second = in_a_child(serve), in_a_child(serve)
    assert {seen.get(), seen.get()} == {first, second}
    assert first[24:] != second[24:]
    assert len({first, second}) == 2
    assert not system.running


def test_a_child_starts_a_system_of_its_own_beside_its_parents(folder: Path, tmp_path: Path) -> None:
    with perdure.System(folder) as system:

        def own() -> int:
            with perdure.System(tmp_path / "own") as mine:
                mine.publish(Job(1))
                return mine.admin.metrics().published

        assert in_a_child(own) == 1
        error = in_a_child(lambda: perdure.System(folder).start())
        assert error.startswith("StoreLocked: ")
        assert str(os.getpid()) in error
        assert system.running


def test_forks_while_publishers_are_at_work(folder: Path) -> None:
    """A fork may happen while other threads hold locks; the child must not wait for any of them."""
    with perdure.System(folder) as system:
        over = threading.Event()

        def publish() -> None:
            n = 0
            while not over.is_set():
                n += 1
                system.submit(Job(n)).result(PATIENCE_S)

        threads = [threading.Thread(target=publish) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                assert in_a_child(lambda: system.running) is False
        finally:
            over.set()
            for thread in threads:
                thread.join(PATIENCE_S)
        assert system.running


def test_a_system_that_is_half_built_hides_the_fork_from_no_other(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is told for itself: one that raises is logged, and the rest are told all the same, whatever their order."""
    systems = [perdure.System(tmp_path / f"data-{n}") for n in range(4)]
    halves = [object.__new__(perdure.System) for _ in range(4)]  # none of them has what `__init__` sets last
    for system, half in zip(systems, halves, strict=True):
        system.start()
        live_systems.remember_system(half)

    def work() -> list[bool]:
        return [system.running for system in systems]

    try:
        assert in_a_child(work) == [False] * 4
        assert in_a_child(lambda: caplog.text.count("this process was forked: System failed")) == 4
    finally:
        for system, half in zip(systems, halves, strict=True):
            live_systems._systems.discard(half)
            system.stop()


def test_a_run_that_cannot_close_a_descriptor_refuses_calls_in_the_child(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits there is told of the fork, whatever else fails in its run; and so is the run that was begun after it."""
    with perdure.System(folder, shared=True) as system, perdure.System(folder.with_name("other")) as other:
        engine = system.inner.run()
        assert isinstance(engine, Engine)
        assert engine.server is not None

        def fails() -> None:
            raise OSError(9, "Bad file descriptor")

        monkeypatch.setattr(engine.server, "discard_after_fork", fails)
        answer = in_a_child(lambda: (engine.runtime.pending.closed is not None, system.running, other.running))
        assert answer == (True, False, False)


def test_a_deleted_folder_of_another_system_hides_the_fork_from_none(folder: Path, tmp_path: Path) -> None:
    """A system forgets its run in the child even where the child cannot read the folder."""
    systems = [perdure.System(tmp_path / f"data-{n}") for n in range(4)]
    for system in systems:
        system.start()
    for n in range(4):
        shutil.rmtree(tmp_path / f"data-{n}")
    with perdure.System(folder) as system:
        every = [*systems, system]

        def work() -> list[str]:
            output = []
            for one in every:
                assert not one.running
                try:
                    one.publish(Job(1))
                except perdure.NotRunning as error:
                    output.append(str(error))
                one.stop()
            return output

        output = in_a_child(work)
        assert [f"forked from process {os.getpid()}" in text for text in output] == [True] * 5
        assert in_a_child(lambda: system.audit.verify().ok) is True
        assert "StoreUnavailable" in in_a_child(lambda: systems[0].audit.verify().ok)
    for one in systems:
        one.stop()


@pytest.mark.parametrize("kind", ["thread", "async", "process", "raises"])
def test_a_child_that_returns_from_the_handler_that_forked_it_is_ended_there(folder: Path, kind: str) -> None:
    """It would wait for ever for actors that it does not have, and the handler for it; and no attempt counts twice."""
    script = """
import os, sys, attrs, perdure
@attrs.frozen
class Job:
    n: int
def work(job, ctx):
    pid = os.fork()
    if pid == 0:
        if os.environ["KIND"] == "raises":
            raise ValueError("in the child")
        return None
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open(os.environ["LOG"], "a") as log:
        print(status, file=log)
async def later(job, ctx):
    work(job, ctx)
if __name__ == "__main__":
    system, kind = perdure.System(sys.argv[1]), os.environ["KIND"]
    system.handler(Job, isolation="process" if kind == "process" else "thread")(later if kind == "async" else work)
    with system:
        system.publish(Job(1))
        system.drain(30)
"""
    program, log = folder.with_name("program.py"), folder.with_name("log")
    program.write_text(script)
    env = {**os.environ, "KIND": kind, "LOG": str(log)}
    done = subprocess.run(
        [sys.executable, str(program), str(folder)], check=False, capture_output=True, text=True, timeout=60, env=env
    )
    assert done.returncode == 0, done.stderr
    assert log.read_text() == "70\n"
    events = [record.name for record in perdure.Audit(folder).events()]
    assert events.count("Completed") == 1
    assert "Failed" not in events
    assert "a handler forked, and its child returned" in done.stderr
