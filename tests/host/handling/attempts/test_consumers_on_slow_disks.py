"""A manual consumer keeps its lease while it waits for a slow disk, and has all of it from the answer on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.store import SegmentStore
from tests.host.handling.attempts.test_leases import HeldDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Job:
    name: str


class SlowDisk:
    """A system whose syncs take 30 seconds when they are told to."""

    def __init__(self, folder: Path, clock: perdure.ManualClock, until: Until) -> None:
        self.disk, self.clock, self.until = HeldDisk(), clock, until
        self.system = perdure.System(store=SegmentStore(folder, disk=self.disk), clock=clock)

    def answer_late(self, call: Callable[[], Any], *, killed: str = "") -> Any:
        """Return what a call returns that waits for a sync of 30 seconds; `killed`: this actor dies meanwhile."""
        assert self.system._engine is not None
        runtime = self.system._engine.runtime
        self.disk.is_syncing.clear()
        self.disk.goes_on.clear()
        with ThreadPoolExecutor(1) as pool:
            try:
                other = self.system.submit(Job("other"), delay=1000.0)
                assert self.disk.is_syncing.wait(30.0)
                asked = pool.submit(call)

                def is_decided() -> bool:
                    queue: Any = runtime.directory.actors["queue"]
                    return any(not answer.answered_us for answer in queue.consumers._answers.values())

                self.until(is_decided)
                for _ in range(3):
                    self.clock.advance(10.0)
            finally:
                if killed:
                    self.system.actors.kill(killed)
                self.disk.goes_on.set()
            other.result(30.0)
            return asked.result(30.0)


@pytest.fixture
def slow(folder: Path, clock: perdure.ManualClock, until: Until) -> Iterator[SlowDisk]:
    made = SlowDisk(folder, clock, until)
    with made.system:
        made.system.publish(Job("a"))
        yield made


def _is_silent(slow: SlowDisk, delivery: perdure.Delivery[Job]) -> None:
    slow.clock.advance(2.0)
    slow.until(lambda: slow.system.admin.metrics().lease_expired == 1)
    with pytest.raises(perdure.LeaseLost):
        delivery.ack()


@pytest.mark.parametrize("killed", ["", "queue", "journal"])
@pytest.mark.parametrize("how", ["heartbeat", "extend"])
def test_a_sign_of_life_that_waits_for_the_disk_keeps_the_lease(slow: SlowDisk, how: str, killed: str) -> None:
    delivery = slow.system.checkout(Job, lease=10.0)
    assert delivery is not None
    call = delivery.extend if how == "extend" else delivery.heartbeat
    slow.answer_late(lambda: call(10.0), killed=killed)
    slow.clock.advance(9.0)
    assert slow.system.admin.metrics().lease_expired == 0
    delivery.heartbeat(50)
    slow.clock.advance(9.0)
    assert slow.system.admin.metrics().lease_expired == 0
    _is_silent(slow, delivery)


def test_a_checkout_that_waits_for_the_disk_has_its_lease_from_the_answer_on(slow: SlowDisk) -> None:
    delivery = slow.answer_late(lambda: slow.system.checkout(Job, lease=10.0))
    slow.clock.advance(9.0)
    assert slow.system.admin.metrics().lease_expired == 0
    delivery.ack()
    assert slow.system.state(delivery.id).status == "completed"


def test_a_consumer_that_is_silent_after_a_late_answer_loses_its_lease(slow: SlowDisk) -> None:
    delivery = slow.answer_late(lambda: slow.system.checkout(Job, lease=10.0))
    slow.clock.advance(9.0)
    assert slow.system.admin.metrics().lease_expired == 0
    _is_silent(slow, delivery)
