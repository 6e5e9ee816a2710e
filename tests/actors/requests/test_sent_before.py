"""A request that was sent before, over a connection that broke, may be done already: it is never said to have changed nothing."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.actors.requests.pending import PendingRequests
from perdure.events.errors import FolderMoved, NotRunning, PerdureError, StoreUnavailable


class Reply:
    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def resolve(self, value: Any) -> None:
        raise AssertionError(value)

    def reject(self, error: BaseException) -> None:
        self.errors.append(error)


@pytest.fixture
def pending() -> PendingRequests:
    return PendingRequests(lambda *_: None)


def test_a_log_that_cannot_be_opened_refuses_only_what_is_sent_for_the_first_time(pending: PendingRequests) -> None:
    again, first = Reply(), Reply()
    pending.send("queue", "asked", again, times=2)
    pending.send("queue", "asked", first)
    pending.close(StoreUnavailable("the log could not be opened. Nothing was published."))
    assert (len(again.errors), len(first.errors)) == (0, 1)
    waiting = pending.send("queue", "asked", again, times=2)
    with pytest.raises(StoreUnavailable):
        pending.send("queue", "asked", first)
    pending.reopen()
    assert waiting in pending.unanswered("queue"), "it is answered once the log is there again"


def test_two_failed_syncs_refuse_only_what_is_sent_for_the_first_time(pending: PendingRequests) -> None:
    again, first = Reply(), Reply()
    requests = [pending.send("queue", "asked", again, times=2), pending.send("queue", "asked", first)]
    for request in requests:
        request.writes += 2
    pending.void(requests)
    pending.void(requests)
    assert (len(again.errors), len(first.errors)) == (0, 1)


@pytest.mark.parametrize("error", [NotRunning("stopped"), FolderMoved("moved")])
def test_a_run_that_has_ended_takes_nothing(pending: PendingRequests, error: PerdureError) -> None:
    pending.close(error)
    with pytest.raises(type(error)):
        pending.send("queue", "asked", Reply(), times=2)
