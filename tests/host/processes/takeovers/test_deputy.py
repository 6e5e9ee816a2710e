"""A deputy keeps a fold of what the owner writes, and takes over with it: nothing is lost, nothing comes twice, order stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

import perdure
import perdure.processes.deputy as deputy_module
from perdure.actors.journal.log_fold import fold_log
from perdure.cli.main import app
from perdure.processes.deputy import Deputy, warm_fold_of
from perdure.store.format import frame
from perdure.telemetry import PrometheusCollector
from tests.actors.journal.test_warm_fold import Owner
from tests.host.processes.clients.test_faults import wait_until
from tests.host.processes.crew import Job, crew, noted
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Program]

CREW = Path(__file__).parents[1] / "crew.py"
GROUPS = 7


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def start_process(folder: Path, log: Path) -> Iterator[Start]:
    """Start a process of the crew; returns when it is up. The first one is the owner."""
    started: list[Program] = []

    def start(**options: Any) -> Program:
        command = [str(CREW), str(folder), str(log), json.dumps(options)]
        process = Program(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == ("up owner\n" if len(started) == 1 else "up member\n")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_all_processes_see_which_are_deputies_and_up_to_where_they_have_folded(start_process: Start, folder: Path) -> None:
    start_process(ownership="prefer")
    start_process()
    pid = start_process(deputy=True).pid
    with perdure.connect(folder) as client:
        client.publish_many([{"number": n} for n in range(50)])
        seen = client.admin.metrics()
        wait_until(lambda: [deputy.seq >= seen.seq for deputy in client.admin.metrics().deputies] == [True])
        (deputy,) = client.admin.metrics().deputies
        assert deputy.pid == pid
        registry = CollectorRegistry()
        PrometheusCollector(client, registry=registry)
        assert registry.get_sample_value("perdure_deputies") == 1
        wait_until(lambda: registry.get_sample_value("perdure_deputy_behind_events") == 0)
    told = CliRunner().invoke(app, ["status", str(folder), "--once"])
    assert f"({pid}): has folded the log up to event" in told.output
    figures = json.loads(CliRunner().invoke(app, ["status", str(folder), "--json"]).output)
    assert [deputy["pid"] for deputy in figures["deputies"]] == [pid]


def has_caught_up(system: perdure.System) -> bool:
    return system.deputy_seq == system.admin.metrics().seq


def warm_seq(system: perdure.System) -> int:
    """Return up to where the owner had folded the log before it took over; 0: it owns nothing yet, or had to read all of it."""
    return 0 if system.recovery is None else system.recovery.deputy_seq


def test_a_deputy_takes_over_from_an_owner_that_is_killed_with_much_waiting(start_process: Start, folder: Path, log: Path) -> None:
    owner = start_process(parallelism=2)
    with crew(str(folder), str(log), {"parallelism": 2, "deputy": True}) as deputy:
        assert (deputy.role, deputy.recovery) == ("member", None)
        jobs = [Job(n, 0.001) for n in range(150)]
        futures = [deputy.submit(job, group=f"g{job.number % GROUPS}") for job in jobs]
        assert all(future.result(30) for future in futures)
        waiting = deputy.publish_many([{"number": n} for n in range(2_000)])
        wait_until(lambda: (deputy.deputy_seq or 0) > 2_000)
        owner.kill()
        last = deputy.publish({"number": -1})
        role: str = deputy.role
        assert (role, deputy.deputy_seq) == ("owner", None)
        wait_until(lambda: deputy.recovery is not None)
        assert deputy.recovery is not None
        assert deputy.recovery.deputy_seq > 2_000, "what it had folded was not folded again"
        assert "as deputy" in str(deputy.recovery)
        assert deputy.recovery.contradictions == ()
        wait_until(lambda: deputy.state(last).status == "ready" and deputy.admin.metrics().completed == len(jobs))
        numbers = deputy.admin.metrics()
        assert (numbers.published, numbers.ready) == (len(jobs) + len(waiting) + 1, len(waiting) + 1)
    lines = noted(log)
    ended = [number for what, number, _, _ in lines if what == "end"]
    assert set(ended) == set(range(len(jobs)))
    twice = {number for number in ended if ended.count(number) > 1}
    dead = owner.pid
    assert all((number, dead) in {(n, pid) for what, n, pid, _ in lines if what == "end"} for number in twice), "at least once"
    for group in range(GROUPS):
        begun = list(dict.fromkeys(number for what, number, _, _ in lines if what == "begin" and number % GROUPS == group))
        assert begun == sorted(begun)
    assert perdure.Audit(folder).verify().ok


@pytest.mark.long(seconds=5)
def test_of_two_deputies_one_takes_over_and_the_other_takes_over_from_that(start_process: Start, folder: Path, log: Path) -> None:
    owner, second = start_process(), start_process(deputy=True)
    with crew(str(folder), str(log), {"deputy": True}) as third:
        published = 0
        for dead in (owner, second):  # the lock decides which deputy is the first
            if third.role == "owner":
                break
            published += len(third.publish_many([{"number": n} for n in range(1_000)]))
            wait_until(lambda: has_caught_up(third))
            dead.kill()
            assert third.admin.metrics().ready == published
        wait_until(lambda: third.role == "owner" and warm_seq(third) >= published)
        assert third.admin.metrics().ready == published


@pytest.mark.long(seconds=3)
def test_a_deputy_goes_on_with_what_it_has_where_the_owner_stops_in_order(start_process: Start, folder: Path, log: Path) -> None:
    owner = start_process()
    with crew(str(folder), str(log), {"deputy": True}) as deputy:
        deputy.publish_many([{"number": n} for n in range(1_000)])
        wait_until(lambda: has_caught_up(deputy))
        owner.communicate("\n")
        wait_until(lambda: warm_seq(deputy) >= 1_000)
        assert deputy.admin.metrics().ready == 1_000


@pytest.mark.long(seconds=3)
def test_a_deputy_that_hands_over_is_a_deputy_again(folder: Path, log: Path, start_process: Start) -> None:
    with crew(str(folder), str(log), {"deputy": True}) as system:
        assert (system.role, system.deputy_seq) == ("owner", None)
        system.publish({"number": 1})
        process = subprocess.Popen(
            [sys.executable, str(CREW), str(folder), str(log), json.dumps({"ownership": "prefer"})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until(lambda: system.role == "member")
            wait_until(lambda: has_caught_up(system))
            process.kill()
            assert system.publish({"number": 2})
            wait_until(lambda: warm_seq(system) > 0)
        finally:
            process.kill()
            process.communicate()


def test_a_deputy_that_has_folded_what_the_owner_takes_back_begins_anew_by_itself(folder: Path) -> None:
    owner = Owner(folder)
    owner.publish(5)
    owner.store.sync()
    owner.publish(5, b"void")
    deputy = Deputy(warm_fold_of(owner.store, perdure.Options(finished_max=100)))
    try:
        deputy.follow()
        wait_until(lambda: deputy.seq == 10)
        owner.lose_what_is_not_synced()
        owner.publish(3, b"true")
        wait_until(lambda: deputy.seq == 8)
        deputy.follow()  # it does so already
        warm = deputy.end().take(owner.store)
        assert warm is not None
        assert warm.encode() == fold_log(owner.store, finished_max=100)[0].encode()
        assert deputy.seq == 0
        deputy.follow()
        wait_until(lambda: deputy.seq == 8)
    finally:
        deputy.end()
        owner.die()


def test_a_look_reads_the_end_of_the_log_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner(folder)
    for _ in range(100):
        owner.publish(1, os.urandom(4_000))
    fold = warm_fold_of(owner.store, perdure.Options())
    fold.follow()
    read: list[int] = []
    check = frame.check

    def counted(header: Any, *parts: Any) -> None:
        read.append(header.first_seq)
        check(header, *parts)

    monkeypatch.setattr(frame, "check", counted)
    owner.publish(1)
    fold.follow()
    assert fold.seq == 101
    assert len(read) < 12, "what is near the end"
    owner.die()


def test_a_deputy_whose_fold_fails_says_so_and_tries_again(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    monkeypatch.setattr(deputy_module, "FAILED_S", 0.01)
    looks: list[int] = []

    class Failing:
        seq = 0

        def follow(self) -> None:
            looks.append(1)
            raise MemoryError

        def drop(self) -> None:
            """Nothing is folded."""

        interrupt = drop

    deputy = Deputy(cast("Any", Failing()))
    deputy.follow()
    wait_until(lambda: len(looks) > 2)
    deputy.end()
    assert "a takeover reads the log meanwhile" in caplog.text


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "deputy: it is for a folder that several processes share"),
        ({"shared": True, "ownership": "never"}, "deputy: .*'never'"),
    ],
)
def test_only_a_process_that_may_take_over_is_a_deputy(folder: Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError, match=why):
        perdure.System(folder, deputy=True, **options)
    with pytest.raises(TypeError, match="deputy: True or False"):
        perdure.System(folder, shared=True, deputy="yes")  # type: ignore[arg-type]  # wrong on purpose
