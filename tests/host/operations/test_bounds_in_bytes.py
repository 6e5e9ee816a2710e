"""Dead letters and results, with all their texts, are bounded in bytes as well as in number, also at the start."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem
from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.events.codec.snapshot import States
from perdure.events.queue.dead_letters import letter_bytes
from perdure.events.queue.endings import result_bytes

TEXT = 1_000


@attrs.frozen
class Job:
    """A message."""

    number: int
    body: str = ""


def failing(disk: MemoryDisk | None = None, **options: Any) -> SimulatedSystem:
    """Return a system whose handler fails with a long text."""
    system = SimulatedSystem(disk=disk, options=perdure.Options(**options))

    @system.handler(Job, retries=0)
    def fail(job: Job) -> str:
        if job.body == "answer":
            return "x" * TEXT
        raise ValueError("y" * TEXT)

    return system


def check(system: SimulatedSystem) -> None:
    """Check that the sums equal what is kept, also after a snapshot."""
    queue: Any = system.runtime.directory.actors["queue"]
    letters: Any = system.runtime.directory.actors["dead_letters"]
    whole = States(queue.state, dead_letters=letters.state)
    for state in (queue.state, States.decode(whole.encode()).queue):
        assert state.dead_bytes == sum(letter_bytes(letter.event) for letter in letters.state.letters.values())
        assert state.results_bytes == sum(map(result_bytes, queue.state.results.values()))


@pytest.mark.parametrize("full", ["drop_oldest", "drop_newest"])
def test_dead_letters_keep_their_bound_in_bytes(full: str) -> None:
    with failing(dead_letters_bytes_max=30_000, dead_letters_full=full) as system:
        for n in range(60):
            system.publish(Job(n))
        system.advance(10.0)
        queue: Any = system.runtime.directory.actors["queue"]
        kept = sorted(letter.message.number for letter in system.dead_letters.list())
        assert 0 < len(kept) < 30
        assert kept == (list(range(60 - len(kept), 60)) if full == "drop_oldest" else list(range(len(kept))))
        assert queue.state.dead_bytes <= 30_000
        check(system)
        system.dead_letters.purge(reason="ValueError")
        assert queue.state.dead_bytes == 0


def test_a_letter_larger_than_the_bound_takes_the_place_of_all_others() -> None:
    with failing(dead_letters_bytes_max=10_000) as system:
        for n in range(3):
            system.publish(Job(n))
        system.publish(Job(3, "z" * 20_000))
        system.advance(10.0)
        assert [letter.message.number for letter in system.dead_letters.list()] == [3]
        check(system)


def test_replayed_letters_take_no_space() -> None:
    with failing() as system:
        system.publish(Job(1))
        system.advance(1.0)
        system.admin.pause(Job)
        check(system)
        system.dead_letters.replay_all()
        queue: Any = system.runtime.directory.actors["queue"]
        assert queue.state.dead_bytes == 0


def test_results_keep_their_bound_in_bytes_and_the_newest_is_there() -> None:
    with failing(results_bytes_max=10_000) as system:
        ids = [system.publish(Job(n, "answer"), keep_result=60.0) for n in range(50)]
        system.advance(10.0)
        queue: Any = system.runtime.directory.actors["queue"]
        assert 0 < len(queue.state.results) < 10
        assert queue.state.results_bytes <= 10_000
        assert system.result(ids[-1]) == "x" * TEXT
        with pytest.raises(perdure.UnknownMessage, match=r"made room for newer ones.*results_bytes_max"):
            system.result(ids[0])
        check(system)


def test_bounds_that_were_lowered_are_kept_from_the_start() -> None:
    disk = MemoryDisk()
    with failing(disk) as system:
        for n in range(20):
            system.publish(Job(n, "answer" if n % 2 else ""), keep_result=3_600.0)
        system.advance(10.0)
        check(system)
    with failing(disk, dead_letters_bytes_max=20_000, results_bytes_max=8_000) as system:
        queue: Any = system.runtime.directory.actors["queue"]
        assert 0 < queue.state.dead_bytes <= 20_000
        assert 0 < queue.state.results_bytes <= 8_000
        check(system)
