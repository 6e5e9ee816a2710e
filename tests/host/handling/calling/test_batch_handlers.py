"""Batch handlers: each message of a batch ends for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected


@attrs.frozen
class Job:
    number: int
    how: str = ""


@attrs.frozen
class Child:
    number: int


def test_each_message_of_a_batch_ends_for_itself(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)

    @system.batch_handler(Job, size=10, wait=0.05, retries=1, backoff=0)
    def store(batch: perdure.Batch[Job]) -> None:
        collected.add([item.message.number for item in batch])
        for item in batch:
            if item.message.number == 3 and item.attempt == 1:
                item.fail("not yet")
            elif item.message.number == 4:
                item.reject("never")
            else:
                item.publish(Child(item.message.number))

    with system:
        system.admin.pause(Job)
        system.publish_many([Job(n) for n in range(10)])
        system.admin.resume(Job)
        batches = collected.wait_for(2)
        assert sorted(number for batch in batches for number in batch) == [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]
        assert len(batches) < 8
        assert [letter.message.number for letter in system.dead_letters.list()] == [4]
        assert system.admin.metrics().ready == 9  # the children, for which there is no handler


def test_raising_batch_handler_fails_all_without_a_verdict(folder: Path) -> None:
    system = perdure.System(folder)

    @system.batch_handler(Job, size=5, wait=0.05, retries=0)
    async def store(batch: perdure.Batch[Job]) -> None:
        batch[0].reject("this one")
        message = "all others"
        raise RuntimeError(message)

    with system:
        system.admin.pause(Job)
        system.publish_many([Job(n) for n in range(5)])
        system.admin.resume(Job)
        system.drain(timeout=10.0)
        reasons = system.dead_letters.stats().by_reason
        assert sum(reasons.values()) == 5
        assert reasons["this one"] >= 1
        assert reasons["failed 1 times: RuntimeError"] >= 1
