"""Bounds that are lower than at the last start: the host applies them at once, an operator's command does not."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest

import perdure
from perdure.actors.queue.passing_time import PassingTime
from perdure.chaos import SimulatedSystem
from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.events.queue import deadlines


@attrs.frozen
class Job:
    """A message."""

    number: int


def with_letters(n: int) -> MemoryDisk:
    """Return a disk with `n` dead letters."""
    disk = MemoryDisk()
    system = SimulatedSystem(disk=disk)

    @system.handler(Job, retries=0)
    def fail(job: Job) -> None:
        raise ValueError(job.number)

    with system:
        system.publish_many([Job(i) for i in range(n)])
        system.advance(1.0)
    return disk


def host(disk: MemoryDisk, **options: Any) -> SimulatedSystem:
    """Return the host's system, whose handler always fails."""
    system = SimulatedSystem(disk=disk, options=perdure.Options(**options))

    @system.handler(Job, retries=0)
    def fail(job: Job) -> None:
        raise ValueError(job.number)

    return system


@pytest.mark.parametrize(("full", "kept"), [("drop_oldest", [9, 8, 7]), ("drop_newest", [2, 1, 0])])
def test_a_lowered_bound_of_dead_letters_is_kept_from_the_start(
    full: str, kept: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    disk = with_letters(10)
    with caplog.at_level(logging.WARNING, "perdure"), host(disk, dead_letters_max=3, dead_letters_full=full) as system:
        assert [letter.message.number for letter in system.dead_letters.list()] == kept
        assert system.admin.metrics().dead_letters == 3
        purged: list[Any] = [record.event for record in system.audit.events() if record.name == "Purged"]
        assert len(purged) == 7
        assert "bound of 3 dead letters" in purged[0].reason
    assert "7 of 10 dead letter(s) are purged" in caplog.text


def test_operators_command_without_the_bound_purges_nothing() -> None:
    disk = with_letters(10)
    with SimulatedSystem(disk=disk, options=perdure.Options(dead_letters_max=3)) as looking_in:
        assert looking_in.dead_letters.stats().total == 10


def test_without_handlers_each_new_letter_purges_two_until_the_bound_holds() -> None:
    disk = with_letters(6)
    with SimulatedSystem(disk=disk, options=perdure.Options(dead_letters_max=3)) as system:
        totals = []
        for n in range(5):
            system.publish(Job(n))
            delivery = system.checkout(Job)
            assert delivery is not None
            delivery.reject("no")
            totals.append(system.dead_letters.stats().total)
        assert totals == [5, 4, 3, 3, 3]


def test_leases_that_run_out_together_are_lost_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LOOK_MAX", 5)
    system = SimulatedSystem()
    with system:
        system.publish_many([Job(i) for i in range(23)])
        assert all(system.checkout(Job, lease=10.0) for _ in range(23))
        queue: Any = system.runtime.directory.actors["queue"]
        taken: list[int] = []
        look = PassingTime.look

        def counting(self: Any, now_us: int) -> None:
            before = len(queue.state.leased)
            look(self, now_us)
            taken.append(before - len(queue.state.leased))

        monkeypatch.setattr(PassingTime, "look", counting)
        system.advance(11.0)
        assert sum(taken) == 23
        assert max(taken) == 5
        assert not queue.state.leased
        assert system.admin.metrics().ready == 23
