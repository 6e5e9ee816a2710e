"""A handler's workers get each delivery once, and none whose lease is over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from perdure.actors.workers.handler_spec import spec_on_record
from perdure.actors.workers.pools.member_pool import MemberPool
from perdure.actors.workers.pools.pool import DONE, SLACK, Pool, Retire, WorkerDelivery
from perdure.actors.workers.worker import REPORT_MAX
from perdure.events import vocabulary as ev
from perdure.events.handlers.subscription_window import window
from perdure.options import Options

WORKER = object()


def lease(attempt: int) -> ev.Leased:
    return ev.Leased(1, attempt, 0, 5)


def given(*leases: ev.Leased, lost: bool = False) -> tuple[Pool, list[WorkerDelivery]]:
    """Deliver message 1 under each of these leases in turn, with the first `lost` before the second comes."""
    pool = Pool(cast("Any", SimpleNamespace(type="t")))
    deliveries = [WorkerDelivery(1, held, b"", ev.Published(1, "a", "t", b"")) for held in leases]
    for delivery in deliveries:
        pool.deliver([delivery])
        deliveries[0].lost = deliveries[0].lost or lost
    return pool, deliveries


def test_a_delivery_that_comes_twice_counts_once() -> None:
    once = lease(1)
    pool, (first, _) = given(once, lease(1))
    assert pool.open[1] is first
    pool, (first, _) = given(once, once, lost=True)
    assert pool.open[1] is first, "its worker died, and its lease is not another one for that"
    assert pool.inbox.qsize() == 1


def test_a_delivery_of_another_message_with_the_same_number_is_another_one() -> None:
    """Found by seed 6000006564 of the simulation: numbers are given anew where the frames that gave them were voided."""
    pool = Pool(cast("Any", SimpleNamespace(type="t")))
    before, after = (WorkerDelivery(1, lease(1), b"", ev.Published(1, ident, "t", b"")) for ident in ("a", "b"))
    pool.deliver([before])
    before.claimed_by(WORKER)
    before.outcome = DONE  # which is not reported yet
    pool.deliver([after])
    assert pool.open[1] is after
    pool.confirmed([before])
    assert pool.open[1] is after


def test_lease_that_was_given_back_is_another_one() -> None:
    """Attempts that were not begun do not count, so the next lease may have the same number."""
    pool, (_, second) = given(lease(1), lease(1), lost=True)
    assert pool.open[1] is second


def test_a_delivery_whose_lease_is_over_sees_it_or_does_not_begin() -> None:
    pool, (first, second) = given(lease(1), lease(2))
    assert pool.open[1] is second
    assert first.lost
    assert not first.claimed_by(WORKER)
    assert second.claimed_by(WORKER)


def test_withdrawn_deliveries_do_not_pile_up_behind_a_handler_that_never_ends() -> None:
    pool = Pool(cast("Any", SimpleNamespace(type="t")))
    made = [WorkerDelivery(n, ev.Leased(n, 1, 0, 5), b"", ev.Published(n, f"id{n}", "t", b"")) for n in range(1, 2_001)]
    pool.deliver(made[:3])
    endless = pool.inbox.get()
    endless.claimed_by(WORKER)
    retire = Retire()
    pool.inbox.put(retire)
    for delivery in made[3:]:
        pool.deliver([delivery])
        assert pool.revoke(delivery)
        assert pool.inbox.qsize() <= 2 * len(pool.open) + SLACK + 2
    last = WorkerDelivery(3_000, ev.Leased(3_000, 1, 0, 5), b"", ev.Published(3_000, "last", "t", b""))
    pool.deliver([last])
    taken = []
    while not pool.inbox.empty():
        item = pool.inbox.get()
        if item.claimed_by(WORKER):
            taken.append(item)
    assert taken == [*made[1:3], retire, last], "the others are there, once and in their order"


def test_a_worker_of_short_handlers_has_more_to_do_while_what_it_reported_is_put_on_record() -> None:
    """Else it and the queue work in turns, which halves what a member handles."""
    options = Options()
    out = window(1, 1.0, rate_limited=False, prefetch_us=options.prefetch_ms * 1000, prefetch_max=options.prefetch_max)
    assert out >= 2 * REPORT_MAX


@pytest.mark.parametrize(
    ("batch_size", "slots", "deliveries", "counted"),
    [(0, 3, 0, (3, 0)), (0, 3, 2, (3, 2)), (0, 3, 9, (3, 3)), (50, 100, 1, (2, 1)), (50, 100, 51, (2, 2)), (50, 100, 300, (2, 2))],
)
def test_a_member_counts_workers_and_not_slots(batch_size: int, slots: int, deliveries: int, counted: tuple[int, int]) -> None:
    port: Any = None
    registered = ev.HandlerRegistered("t", 2, 5, 0, 0, "replace", "b", more={"batch_size": batch_size})
    pool = MemberPool(spec_on_record(registered), port)
    pool.slots = slots
    open_: dict[int, Any] = dict.fromkeys(range(deliveries))
    pool.open = open_
    assert (pool.worker_count, pool.active_count) == counted
