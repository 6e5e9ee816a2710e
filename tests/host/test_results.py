"""Results of messages that no single handler call returned: of batches, of consumers by hand, of what was superseded or expired.

What `call` gives and raises for plain handlers, and that results outlive restarts, is in `test_more`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Job:
    number: int


def test_message_of_a_batch_has_no_result_but_an_end(folder: Path) -> None:
    """Who calls a batch handler hears None, or what became of just that message."""
    system = perdure.System(folder)

    @system.batch_handler(Job, size=10, retries=0)
    def store(batch: perdure.Batch) -> str:
        for item in batch:
            if item.message.number < 0:
                item.reject("a negative number")
        return "nobody's"

    with system:
        assert system.call(Job(1), timeout=10.0) is None
        with pytest.raises(perdure.Reject, match="a negative number"):
            system.call(Job(-1), timeout=10.0)


def test_message_that_a_consumer_has_completed_has_no_result_but_an_end(folder: Path) -> None:
    with perdure.System(folder) as system:
        ident = system.publish(Job(1), keep_result=60.0)
        delivery = system.checkout(Job)
        assert delivery is not None
        delivery.ack()
        assert system.result(ident, timeout=10.0) is None
    with perdure.System(folder) as system:
        assert system.result(ident, timeout=10.0) is None


@pytest.mark.parametrize("end", ["Superseded", "Expired"])
def test_caller_hears_of_a_message_that_was_never_handled(folder: Path, clock: perdure.ManualClock, until: Until, end: str) -> None:
    with perdure.System(folder, clock=clock) as system:
        ident = system.publish(Job(1), key="k", ttl=5.0, keep_result=60.0)
        if end == "Superseded":
            system.publish(Job(2), key="k")
        else:
            clock.advance(6.0)
            until(lambda: system.admin.metrics().expired)
        with pytest.raises(perdure.HandlerFailed, match=f"perdure.{end}") as raised:
            system.result(ident, timeout=10.0)
        assert raised.value.id == ident
