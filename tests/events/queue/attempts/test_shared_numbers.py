"""Where a failed sync took a lease back, two consumers may have attempts of one number: only that of the second counts."""

from __future__ import annotations

import pytest

from perdure.events import vocabulary as ev
from perdure.events.commands import CheckOut, Done, Draft, Extend, Fail, Publish
from perdure.events.errors import LeaseLost
from perdure.events.limits import Limits
from perdure.events.queue import decisions as rules
from perdure.events.queue.consumer_reports import is_anothers
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState


@pytest.fixture
def state() -> QueueState:
    """The message is out with `second`, under the number that `first` had before the log lost that."""
    state = QueueState()
    evolve_all(state, rules.decide(state, Publish([Draft("m1", "t", b"", priority=1)]), 1, Limits()))
    evolve_all(state, rules.decide(state, CheckOut("t", "second", 10, 5), 2, Limits()))
    return state


@pytest.mark.parametrize("report", [Done(1, "m1", 1, holder="first"), Fail(1, "m1", 1, "E", "", "", 0, holder="first")])
def test_a_report_of_the_first_is_refused(state: QueueState, report: Done | Fail) -> None:
    assert is_anothers(state, report)
    assert not is_anothers(state, report._replace(holder="second"))
    with pytest.raises(LeaseLost):
        rules.decide(state, Extend(1, "m1", 1, 10, holder="first"), 3, Limits())
    (extended,) = rules.decide(state, Extend(1, "m1", 1, 10, holder="second"), 3, Limits())
    assert isinstance(extended, ev.LeaseExtended)


def test_one_of_a_consumer_does_not_count_for_a_worker() -> None:
    state = QueueState()
    evolve_all(state, rules.decide(state, Publish([Draft("m1", "t", b"", priority=1)]), 1, Limits()))
    evolve_all(state, [ev.Leased(1, 1, 0, 5)])
    assert is_anothers(state, Done(1, "m1", 1, holder="first"))
    assert not is_anothers(state, Done(1, "m1", 1))


def test_what_is_not_out_is_no_holders(state: QueueState) -> None:
    evolve_all(state, rules.decide(state, Done(1, "m1", 1, holder="second"), 3, Limits()))
    assert not is_anothers(state, Done(1, "m1", 1, holder="first")), "it is refused as any late report"
