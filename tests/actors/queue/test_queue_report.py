"""The cost of a report depends on the messages with a heartbeat, not on all leased ones; progress is known after a restart too."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import perdure
from perdure.actors.queue.queue_report import report_of
from perdure.chaos import SimulatedSystem
from perdure.events.codec.snapshot import States


@attrs.frozen
class Job:
    """A message."""

    number: int


class Unread(dict[Any, Any]):
    """A dict that must not be gone through."""

    def values(self) -> Any:
        raise AssertionError("all that is out was looked at")

    items = __iter__ = values


def test_a_report_looks_only_at_messages_with_a_heartbeat() -> None:
    with SimulatedSystem() as system:
        system.publish_many([Job(n) for n in range(9)])
        deliveries = [system.checkout(Job) for _ in range(9)]
        told = deliveries[3]
        assert told is not None
        told.heartbeat(40, "half-way")
        queue: Any = system.runtime.directory.actors["queue"]
        assert queue.state.reporting == {4}
        leased, queue.state.leased = queue.state.leased, Unread(queue.state.leased)
        try:
            report = report_of(queue.state, 1)(1)
        finally:
            queue.state.leased = leased
        assert report.progress == {told.id: (f"{__name__}.Job", 40.0, "half-way")}
        assert States.decode(States(queue.state).encode()).queue.reporting == {4}


@pytest.mark.parametrize("how", ["ack", "requeue", "reject"])
def test_a_message_that_is_no_longer_leased_has_no_progress(how: str) -> None:
    with SimulatedSystem(options=perdure.Options(retries=3)) as system:
        system.publish(Job(1))
        delivery = system.checkout(Job)
        assert delivery is not None
        delivery.heartbeat(40)
        if how == "ack":
            delivery.ack()
        else:
            getattr(delivery, how)("not now")
        queue: Any = system.runtime.directory.actors["queue"]
        assert not queue.state.reporting
        assert system.admin.metrics().progress == {}
