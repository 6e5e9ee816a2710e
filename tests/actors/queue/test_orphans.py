"""What was out when a run begins: taken back at once by an owner alone, left to its holders for a while by a shared one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from perdure.actors.queue.orphans import REATTACH_US, Orphans
from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, Publish
from perdure.events.queue import decisions as rules
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import FOREVER, QueueState


@pytest.fixture
def state() -> QueueState:
    """Three messages are out: two with workers, the third with a consumer."""
    state = QueueState()
    evolve_all(state, rules.decide(state, Publish([Draft(f"m{n}", "t", b"", priority=1) for n in (1, 2, 3)]), 1, rules.Limits()))
    evolve_all(state, [ev.Leased(n, 1, 10**9, 5, "consumer.1" if n == 3 else "") for n in (1, 2, 3)])
    return state


def pool_with(*numbers: int, attempt: int = 1) -> Any:
    return SimpleNamespace(open={n: SimpleNamespace(attempt_ref=(n, f"m{n}", attempt)) for n in numbers})


def numbers(orphans: list[Any]) -> list[int]:
    return sorted(orphan.number for orphan in orphans)


def test_an_owner_alone_takes_all_back_at_once(state: QueueState) -> None:
    orphans = Orphans()
    assert numbers(orphans.begin(state, [], 100)) == [1, 2, 3]
    assert orphans.due_us == FOREVER


def test_a_shared_owner_leaves_what_is_out_until_the_others_had_time_to_say_what_they_hold(state: QueueState) -> None:
    orphans = Orphans()
    orphans.wait_us = REATTACH_US
    assert orphans.begin(state, [], 100) == []
    assert set(orphans.held) == {1, 2}
    assert orphans.due(state, [], 100 + REATTACH_US - 1) == []
    assert numbers(orphans.due(state, [pool_with(2)], 100 + REATTACH_US)) == [1]
    assert orphans.due_us == FOREVER
    assert not orphans.held


def test_a_shared_owner_whom_no_process_has_joined_leaves_only_what_a_consumer_checked_out(state: QueueState) -> None:
    orphans = Orphans()
    orphans.wait_us, orphans.had_members, orphans.origins = REATTACH_US, False, lambda: ()
    assert numbers(orphans.begin(state, [pool_with(2)], 100)) == [1]
    assert not orphans.held
    assert not orphans.is_over
    assert orphans.taken_at_start == 1
    assert numbers(orphans.due(state, [pool_with(2)], 100 + REATTACH_US)) == [3]
    assert orphans.is_over


def test_what_the_process_that_takes_over_runs_itself_is_no_orphan(state: QueueState) -> None:
    orphans = Orphans()
    orphans.wait_us = REATTACH_US
    orphans.begin(state, [pool_with(1, 2)], 100)
    assert not orphans.held
    assert orphans.due(state, [pool_with(1, 2)], 100 + REATTACH_US) == []
    assert orphans.due_us == FOREVER


@pytest.mark.parametrize(("connected", "lost"), [(None, []), (["consumer"], []), (["another"], [3]), ([], [3])])
def test_what_is_checked_out_is_taken_from_a_process_that_is_not_back_in_time(
    state: QueueState, connected: list[str] | None, lost: list[int]
) -> None:
    orphans = Orphans()
    orphans.wait_us = REATTACH_US
    orphans.origins = lambda: connected
    assert orphans.begin(state, [], 100) == []
    assert orphans.due(state, [pool_with(1, 2)], 100 + REATTACH_US - 1) == []
    assert numbers(orphans.due(state, [pool_with(1, 2)], 100 + REATTACH_US)) == lost
    assert orphans.due_us == FOREVER


def test_an_attempt_that_ended_meanwhile_is_no_orphan(state: QueueState) -> None:
    orphans = Orphans()
    orphans.wait_us = REATTACH_US
    orphans.begin(state, [pool_with(1, attempt=7)], 100)
    evolve_all(state, [ev.Completed(1, 1), ev.LeaseExpired(2, 1, "it hung"), ev.Leased(2, 2, 10**9, 5)])
    assert orphans.due(state, [], 100 + REATTACH_US) == []
