"""Handlers in other processes than the owner: they share the work, and no death, hang or deploy loses or doubles a message."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.core.messages import Report
from perdure.actors.workers.pools.worker_messages import PoolChanged
from perdure.events import vocabulary as ev
from tests.host.processes import crew as program
from tests.host.processes.clients.test_faults import wait_until
from tests.host.processes.crew import After, Job, noted
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Crew = Callable[..., Program]
    Start = Callable[[], Program]

PATIENCE_S = 60.0


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def host(folder: Path) -> Iterator[perdure.System]:
    """The owner, in this process. It has no handlers."""
    with perdure.System(folder, shared=True) as system:
        yield system


@pytest.fixture
def crew(folder: Path, log: Path) -> Iterator[Crew]:
    """Start a member with handlers in a process of its own; returns when its handlers are at work."""
    started: list[Program] = []

    def start(**options: Any) -> Program:
        words = ["-m", program.__name__, str(folder), str(log), json.dumps({"ownership": "never"} | options)]
        process = Program(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up member\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def most_at_once(log: Path) -> int:
    """Return how many calls ran at the same time, at most."""
    running, most = 0, 0
    for what, *_ in noted(log):
        running += 1 if what == "begin" else -1
        most = max(most, running)
    return most


def steps(system: perdure.System, ident: str) -> list[str]:
    return [record.name for record in system.audit.timeline(ident)]


def begun(log: Path, what: str = "begin") -> list[int]:
    return [number for did, number, _, _ in noted(log) if did == what]


def test_two_members_share_the_work(host: perdure.System, crew: Crew, log: Path) -> None:
    for _ in range(2):
        crew(parallelism=2)
    host.publish_many([Job(n, 0.005) for n in range(200)])
    host.drain(PATIENCE_S)
    assert sorted(begun(log, "end")) == list(range(200))
    assert len({pid for _, _, pid, _ in noted(log)}) == 2
    assert host.admin.metrics().completed == 200


def test_a_member_that_leaves_in_order_ends_what_it_has_begun(host: perdure.System, crew: Crew, log: Path) -> None:
    leaver = crew(parallelism=1)
    host.publish_many([Job(n, 0.05) for n in range(20)])
    wait_until(lambda: len(begun(log)) > 2)
    leaver.communicate(timeout=PATIENCE_S)
    assert leaver.returncode == 0
    assert len(begun(log)) == len(begun(log, "end"))
    crew(parallelism=4)
    host.drain(PATIENCE_S)
    assert sorted(begun(log, "end")) == list(range(20)), "none twice"


def test_of_what_a_killed_member_had_only_what_it_had_begun_counts(host: perdure.System, crew: Crew, log: Path) -> None:
    """What lies before its worker goes back as if it had never been there: whether it had begun is known from its marks."""
    victim = crew(parallelism=1, retries=5, backoff=0)
    host.publish_many([Job(n) for n in range(50)])  # its handler is known to be short: more is prefetched
    host.drain(PATIENCE_S)
    slow, *others = host.publish_many([Job(100, PATIENCE_S), *(Job(n) for n in range(101, 110))])
    wait_until(lambda: 100 in begun(log))
    wait_until(lambda: any(host.state(ident).status == "leased" for ident in others))  # how many: by how fast the machine is
    victim.kill()
    wait_until(lambda: host.state(slow).status != "leased")
    assert "LeaseExpired" in steps(host, slow)
    assert host.state(slow).attempts == 1
    for ident in others:
        assert "LeaseExpired" not in steps(host, ident)
        assert host.state(ident).attempts == 0
    assert host.cancel(slow)
    crew(parallelism=1)
    host.drain(PATIENCE_S)
    assert sorted(begun(log, "end")) == [*range(50), *range(101, 110)]


def test_a_member_that_hangs_loses_its_message_and_its_late_result_is_refused(host: perdure.System, crew: Crew, log: Path) -> None:
    options = {"parallelism": 1, "lease": 1.5, "renew": True, "retries": 5}  # long enough for a busy machine to renew it in time
    hanging = crew(**options)
    ident = host.publish(Job(1, 1.0))
    wait_until(lambda: bool(begun(log)))
    os.kill(hanging.pid, signal.SIGSTOP)
    crew(**options)
    host.drain(PATIENCE_S)
    assert begun(log) == [1, 1]
    os.kill(hanging.pid, signal.SIGCONT)
    wait_until(lambda: host.admin.metrics().late_results == 1)
    assert steps(host, ident).count("Completed") == 1
    assert steps(host, ident).count("LeaseExpired") == 1


@pytest.mark.parametrize(("kind", "what"), [("async", "end"), ("batch", "batch"), ("process", "child")])
def test_every_kind_of_handler_runs_in_a_member(host: perdure.System, crew: Crew, log: Path, kind: str, what: str) -> None:
    crew(parallelism=2, kind=kind)
    host.publish_many([Job(n) for n in range(30)])
    host.drain(PATIENCE_S)
    assert sorted(begun(log, what)) == list(range(30))


def test_a_member_is_handed_nothing_more_once_its_owner_has_come_to_rest(folder: Path, crew: Crew) -> None:
    """Stop hooks run while other processes are still answered. What changes a member's pool meanwhile must not open it again."""
    host = perdure.System(folder, shared=True)
    closed: list[bool] = []

    @host.on_stop
    def change() -> None:
        runtime = host._engine.runtime  # type: ignore[union-attr]
        (pool,) = runtime.pools.elsewhere
        runtime.directory.tell("dispatcher", PoolChanged(pool))
        looked = runtime.executor.answer()
        runtime.pending.send("dispatcher", Report(), looked, from_outside=False)  # behind it in the mailbox
        looked.wait(PATIENCE_S)
        closed.append(pool.closed)

    with host:
        crew(parallelism=2)
        wait_until(lambda: any(pool.may_be_out for pool in host._engine.runtime.pools.elsewhere))  # type: ignore[union-attr]
    assert closed == [True]


def test_workers_are_counted_and_not_the_messages_of_their_batches(host: perdure.System, crew: Crew, log: Path) -> None:
    """As many of them as `parallelism` says, in a member and in the owner; one that runs a whole batch is one that is busy."""
    member = crew(parallelism=2, kind="batch")
    proceed = threading.Event()

    @host.batch_handler(After, size=10, parallelism=1)
    def handle(batch: perdure.Batch[After]) -> None:
        assert proceed.wait(PATIENCE_S)

    host.publish_many([After(n) for n in range(10)])
    wait_until(lambda: host.admin.handlers()["crew.After"].in_flight == 10)
    wait_until(lambda: host.admin.handlers()["crew.After"].active > 0)
    handlers = host.admin.handlers()
    proceed.set()
    job, after = handlers["crew.Job"], handlers["crew.After"]
    assert [(one.pid, one.workers) for one in job.processes] == [(member.pid, 2)]
    assert (job.workers, job.active) == (2, 0)
    assert (after.workers, after.active) == (1, 1)


def test_what_a_handler_publishes_commits_with_its_completion(host: perdure.System, crew: Crew, log: Path) -> None:
    crew(publishes=True)
    crew(kind="after")
    ident = host.publish(Job(7))
    wait_until(lambda: begun(log, "after") == [7])
    host.drain(PATIENCE_S)
    names = [record.name for record in host.audit.events() if record.seq > 2]
    assert names[names.index("Completed") - 1] == "Published", "before the completion of the first, in its frame"
    assert "Completed" in steps(host, ident)


def test_failures_retries_and_dead_letters_of_a_member(host: perdure.System, crew: Crew, log: Path) -> None:
    crew(retries=2, backoff=0)
    host.publish(Job(-1))
    host.drain(PATIENCE_S)
    (letter,) = host.dead_letters.list()
    assert (letter.attempts, letter.exception) == (3, "ValueError")
    assert "no such job" in letter.traceback
    assert begun(log) == [-1, -1, -1]


def test_the_limit_holds_over_all_processes(host: perdure.System, crew: Crew, log: Path) -> None:
    for _ in range(2):
        crew(parallelism=4, limit=3)
    host.publish_many([Job(n, 0.03) for n in range(30)])
    host.drain(PATIENCE_S)
    assert most_at_once(log) == 3


def test_groups_and_keys_hold_over_all_processes(host: perdure.System, crew: Crew, log: Path) -> None:
    for _ in range(2):
        crew(parallelism=2, dedup="append", key_parallelism=1)
    for n in range(20):
        host.publish(Job(n), group="one")
    host.drain(PATIENCE_S)
    assert begun(log) == list(range(20)), "in order, one at a time"
    rows = [what for what, *_ in noted(log)]
    assert rows == ["begin", "end"] * 20


def test_a_message_that_a_member_runs_is_cancelled(host: perdure.System, crew: Crew, log: Path) -> None:
    crew()
    ident = host.publish(Job(1, PATIENCE_S))
    wait_until(lambda: bool(begun(log)))
    assert host.cancel(ident)
    wait_until(lambda: begun(log, "cancelled") == [1])
    assert host.state(ident).status == "cancelled"


def test_an_operator_pauses_and_scales_members(host: perdure.System, crew: Crew, log: Path) -> None:
    crew(parallelism=1)
    host.admin.pause(Job)
    ids = host.publish_many([Job(n, PATIENCE_S) for n in range(8)])
    host.admin.scale(Job, 8)
    assert begun(log) == []
    host.admin.resume(Job)
    wait_until(lambda: len(begun(log)) == 8)
    assert begun(log, "end") == [], "eight workers, where the code asks for one"
    assert [host.cancel(ident) for ident in ids] == [True] * 8
    wait_until(lambda: len(begun(log, "cancelled")) == 8)


def test_the_owner_and_a_member_share_the_work(folder: Path, crew: Crew, log: Path) -> None:
    with program.crew(str(folder), str(log), {"parallelism": 2}) as system:
        member = crew(parallelism=2)
        system.publish_many([Job(n, 0.01) for n in range(100)])
        system.drain(PATIENCE_S)
        assert sorted(begun(log, "end")) == list(range(100))
        assert {pid for _, _, pid, _ in noted(log)} == {os.getpid(), member.pid}
        member.kill()
        member.wait()
        system.publish_many([Job(n) for n in range(100, 110)])
        system.drain(PATIENCE_S)


def test_messages_of_a_type_that_only_a_later_process_handles_wait_for_it(host: perdure.System, crew: Crew, log: Path) -> None:
    crew(publishes=True)
    host.publish(Job(1))
    wait_until(lambda: begun(log, "end") == [1])
    wait_until(lambda: host.admin.metrics().ready == 1)
    late = host.publish(After(2))
    crew(kind="after")
    host.drain(PATIENCE_S)
    assert sorted(begun(log, "after")) == [1, 2]
    assert host.state(late).status == "completed"


def test_metrics_are_sums_with_a_line_for_each_process(host: perdure.System, crew: Crew, log: Path) -> None:
    members = [crew(parallelism=2) for _ in range(2)]
    host.publish_many([Job(n, 0.005) for n in range(100)])
    host.drain(PATIENCE_S)
    info = host.admin.handlers()["crew.Job"]
    assert (info.workers, info.processed, info.failed) == (4, 100, 0)
    assert {(process.pid, process.workers) for process in info.processes} == {(member.pid, 2) for member in members}
    assert sum(process.processed for process in info.processes) == 100
    assert all(process.name == f"crew.py {process.pid}" for process in info.processes)
    host.publish_many([Job(n, 0.25) for n in range(4)])
    host.drain(PATIENCE_S)
    wait_until(lambda: host.admin.handlers()["crew.Job"].run_p99_s >= 0.2)  # told with the next signs of life
    info = host.admin.handlers()["crew.Job"]
    assert info.run_p50_s < 0.2, "the calls of all processes together"
    assert info.wait_p99_s > 0


@pytest.mark.long(seconds=3)
def test_members_that_come_and_go_are_on_record(host: perdure.System, crew: Crew) -> None:
    first, second = crew(), crew()
    first.communicate()
    second.kill()
    wait_until(lambda: [record.name for record in host.audit.events()].count("ProcessLeft") == 2)
    events = [record.event for record in host.audit.events()]
    pids = [(type(event).__name__, event.pid) for event in events if isinstance(event, ev.ProcessJoined | ev.ProcessLeft)]
    assert pids[:2] == [("ProcessJoined", first.pid), ("ProcessJoined", second.pid)]
    assert sorted(pids[2:]) == [("ProcessLeft", pid) for pid in sorted((first.pid, second.pid))]


@pytest.mark.long(seconds=4)
def test_the_options_of_the_process_that_started_last_count_in_a_rolling_deploy(
    host: perdure.System, crew: Crew, log: Path
) -> None:
    """Old code goes on beside new code until it is stopped, by the terms of the new."""
    old = crew(parallelism=4, limit=4)
    new = crew(parallelism=4, limit=1)
    old.communicate()
    crew(parallelism=4, limit=1)
    host.publish_many([Job(n, 0.02) for n in range(20)])
    host.drain(PATIENCE_S)
    assert most_at_once(log) == 1
    assert sorted(begun(log, "end")) == list(range(20))
    assert new.poll() is None


def test_ticks_count_once_whichever_process_sends_them(host: perdure.System, crew: Crew, log: Path) -> None:
    for _ in range(2):
        crew(kind="ticks")
    wait_until(lambda: len(noted(log)) > 10)
    ticks = begun(log, "tick")
    assert len(set(ticks)) == len(ticks)
    assert host.dead_letters.stats().total == 0


def test_what_a_member_runs_goes_on_while_another_process_takes_over(folder: Path, log: Path, crew: Crew, start: Start) -> None:
    owner = start()
    member = crew(parallelism=1)
    with perdure.System(folder, shared=True) as heir:
        ident = heir.publish(Job(1, 2.5))
        wait_until(lambda: begun(log) == [1])
        owner.kill()
        owner.wait()
        wait_until(lambda: heir.role == "owner")
        heir.drain(PATIENCE_S)
        assert noted(log) == [("begin", 1, member.pid, 1), ("end", 1, member.pid, 1)], "it was not begun again"
        assert steps(heir, ident).count("Completed") == 1
        assert "LeaseExpired" not in steps(heir, ident)
        heir.publish_many([Job(n) for n in range(2, 30)])
        heir.drain(PATIENCE_S)


def test_what_the_process_runs_that_takes_over_goes_on(folder: Path, log: Path, start: Start) -> None:
    owner = start()
    with program.crew(str(folder), str(log), {"parallelism": 1}) as heir:
        heir.publish(Job(1, 2.5))
        wait_until(lambda: begun(log) == [1])
        owner.kill()
        owner.wait()
        wait_until(lambda: heir.role == "owner")
        heir.drain(PATIENCE_S)
        assert [what for what, *_ in noted(log)] == ["begin", "end"]
