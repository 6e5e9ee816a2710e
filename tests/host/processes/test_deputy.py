"""A deputy keeps a fold of what the owner writes, and takes over with it: nothing is lost, nothing comes twice, order stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from tests.host.processes.crew import Job, crew, noted
from tests.host.processes.test_faults import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., subprocess.Popen[str]]

CREW = Path(__file__).with_name("crew.py")
GROUPS = 7


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def hire(folder: Path, log: Path) -> Iterator[Start]:
    """Start a process of the crew; returns when it is up. The first one is the owner."""
    started: list[subprocess.Popen[str]] = []

    def start(**options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, str(CREW), str(folder), str(log), json.dumps(options)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == ("up owner\n" if len(started) == 1 else "up member\n")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def has_caught_up(system: perdure.System) -> bool:
    return system.deputy_seq == system.admin.metrics().seq


def warm_seq(system: perdure.System) -> int:
    """Return up to where the owner had folded the log before it took over; 0: it owns nothing yet, or had to read all of it."""
    return 0 if system.recovery is None else system.recovery.deputy_seq


def test_a_deputy_takes_over_from_an_owner_that_is_killed_with_much_waiting(hire: Start, folder: Path, log: Path) -> None:
    owner = hire(parallelism=2)
    with crew(str(folder), str(log), {"parallelism": 2, "deputy": True}) as deputy:
        assert (deputy.role, deputy.recovery) == ("member", None)
        jobs = [Job(n, 0.001) for n in range(400)]
        futures = [deputy.submit(job, group=f"g{job.number % GROUPS}") for job in jobs]
        assert all(future.result(30) for future in futures)
        waiting = deputy.publish_many([{"number": n} for n in range(5_000)])
        wait_until(lambda: (deputy.deputy_seq or 0) > 5_000)
        owner.kill()
        last = deputy.publish({"number": -1})
        role: str = deputy.role
        assert (role, deputy.deputy_seq) == ("owner", None)
        wait_until(lambda: deputy.recovery is not None)
        assert deputy.recovery is not None
        assert deputy.recovery.deputy_seq > 5_000, "what it had folded was not folded again"
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
def test_of_two_deputies_one_takes_over_and_the_other_takes_over_from_that(hire: Start, folder: Path, log: Path) -> None:
    owner, second = hire(), hire(deputy=True)
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
def test_a_deputy_goes_on_with_what_it_has_where_the_owner_stops_in_good_order(hire: Start, folder: Path, log: Path) -> None:
    owner = hire()
    with crew(str(folder), str(log), {"deputy": True}) as deputy:
        deputy.publish_many([{"number": n} for n in range(1_000)])
        wait_until(lambda: has_caught_up(deputy))
        owner.communicate("\n")
        wait_until(lambda: warm_seq(deputy) >= 1_000)
        assert deputy.admin.metrics().ready == 1_000


@pytest.mark.long(seconds=3)
def test_a_deputy_that_hands_over_is_a_deputy_again(folder: Path, log: Path, hire: Start) -> None:
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
        perdure.System(folder, shared=True, deputy="yes")  # type: ignore[arg-type]
