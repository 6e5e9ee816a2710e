"""What other processes hold, or may run though the log knows nothing of it: nothing else begins the same attempt, or settles it."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.actors.queue.deliveries import Deliveries
from perdure.actors.queue.lost_runs import LostRuns
from perdure.actors.queue.orphans import REATTACH_US, Orphans
from perdure.actors.queue.reattaching import Reattach, reattached, sorted_out
from perdure.actors.workers.handler_spec import spec_on_record
from perdure.actors.workers.pools.handler_pools import HandlerPools
from perdure.actors.workers.pools.member_pool import MemberPool
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.actors.workers.pools.worker_messages import Subscribe
from perdure.events import vocabulary as ev
from perdure.events.commands import Done, Draft, ExpireLease, Fail, Publish, Release, Replay, ReplayItem, Subscription
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState

PUBLISH = Publish([Draft("m", "t", b"", priority=1)])


class Queue:
    """As much of the queue as is needed to decide."""

    def __init__(self) -> None:
        self.state = QueueState()
        self.written: list[Any] = []

    def take(self, command: object, now_us: int) -> None:
        evolve_all(self.state, rules.decide(self.state, command, now_us, rules.Limits()))

    def apply(self, events: list[ev.Event]) -> None:
        evolve_all(self.state, events)

    def hand_out(self) -> WorkerDelivery:
        evolve_all(self.state, [*leasing.deliver(self.state, [Subscription("t", 10, 10, 5, 0)], 1)])
        message = self.state.messages[1]
        assert message.lease is not None
        return WorkerDelivery.of(message, message.lease)


class Port:
    def __init__(self) -> None:
        self.given_back: list[int] = []

    def deliver(self, *_: Any) -> None: ...

    def revoke(self, *_: Any, **__: Any) -> None: ...

    def give_back(self, _pool: MemberPool, deliveries: list[WorkerDelivery]) -> None:
        self.given_back += [delivery.number for delivery in deliveries]


def member_pool() -> MemberPool:
    port: Any = Port()
    return MemberPool(spec_on_record(ev.HandlerRegistered("t", 2, 5, 0, 300_000, "replace", "b")), port)


@pytest.fixture
def queue() -> Queue:
    queue = Queue()
    queue.take(PUBLISH, 1)
    return queue


def orphaned(queue: Queue) -> Orphans:
    """Return the orphans of a run that begins with one message out."""
    orphans = Orphans()
    orphans.wait_us = REATTACH_US
    orphans.begin(queue.state, [], 1)
    return orphans


def say(queue: Queue, pool: MemberPool, orphans: Orphans, delivery: WorkerDelivery) -> list[tuple[int, str, int]]:
    return reattached(queue.state, Reattach(pool, [delivery.attempt_ref]), orphans, lambda _: delivery)


def test_what_was_out_when_the_run_began_is_claimed_once(queue: Queue) -> None:
    delivery = queue.hand_out()
    orphans, pool, other = orphaned(queue), member_pool(), member_pool()
    assert say(queue, pool, orphans, delivery) == []
    assert pool.open == {1: delivery}
    assert say(queue, pool, orphans, delivery) == [], "said again, when the queue has died"
    assert say(queue, other, orphans, delivery) == [delivery.attempt_ref]


def test_what_this_run_has_handed_out_is_no_other_processs_before_it_shows_in_a_pool(queue: Queue) -> None:
    """Found by the simulation: the delivery was decided and waited to be written, and another process got it besides."""
    orphans = orphaned(queue)
    delivery = queue.hand_out()
    assert say(queue, member_pool(), orphans, delivery) == [delivery.attempt_ref]


def test_a_process_that_is_gone_meanwhile_gives_back_what_it_claims(queue: Queue) -> None:
    delivery = queue.hand_out()
    orphans, pool = orphaned(queue), member_pool()
    pool.is_gone = True
    assert say(queue, pool, orphans, delivery) == [delivery.attempt_ref]
    assert not pool.open


def test_an_outcome_counts_of_what_was_out_when_the_run_began_and_of_no_other_lease(queue: Queue) -> None:
    done = Done(*queue.hand_out().attempt_ref)
    assert sorted_out(queue.state, [done], orphaned(queue)) == ([done], [])
    counted, refused = sorted_out(queue.state, [done, Release(1, "m", 1, "told again")], Orphans())
    assert (counted, [type(event) for event in refused]) == ([], [ev.LateResultRefused])
    queue.take(ExpireLease(1, "m", 1, "silent"), 1)
    assert sorted_out(queue.state, [done], Orphans()) == ([done], []), "the rules refuse it"


def spent_by(queue: Queue, *pools: MemberPool) -> int:
    """Begin a term with these pools; return the attempt that is handed out next."""
    LostRuns(queue, pools, 1).spend(1)  # type: ignore[arg-type]  # as much of one as is needed
    return queue.hand_out().lease.attempt


@pytest.mark.parametrize("begun", [True, False])
def test_what_was_taken_from_a_process_ends_again_where_the_log_has_lost_that(queue: Queue, begun: bool) -> None:
    delivery, pool = queue.hand_out(), member_pool()
    pool.end_of(delivery, begun=begun)
    assert spent_by(queue, pool) == 2
    assert queue.state.messages[1].forgiven == (not begun)


def test_what_was_taken_from_a_process_is_spent_where_the_log_has_lost_its_lease_too(queue: Queue) -> None:
    delivery, pool = queue.hand_out(), member_pool()
    pool.end_of(delivery, begun=False)
    lost = Queue()
    lost.take(PUBLISH, 1)
    assert spent_by(lost, pool) == 2


def test_a_run_whose_message_is_published_once_more_keeps_its_number_for_itself(queue: Queue) -> None:
    """Found by the simulation: the sync of the publish failed, and its client sent it again while a member ran it."""
    delivery, pool = queue.hand_out(), member_pool()
    pool.take_from(delivery, cancels=False)
    lost: Any = Queue()
    runs = LostRuns(lost, [pool], 1)
    runs.spend(1)
    lost.take(PUBLISH, 1)
    runs.spend(1)
    assert lost.hand_out().lease.attempt == 2


def test_a_run_keeps_its_number_for_itself_where_the_log_has_lost_that_its_message_was_replayed(queue: Queue) -> None:
    """The next replay is to begin with that number."""
    fail = Fail(1, "m", queue.hand_out().lease.attempt, "E", "", "", 0, "never again")
    lost: Any = Queue()
    lost.take(PUBLISH, 1)
    lost.hand_out()
    for each in (queue, lost):
        each.take(fail, 1)
    death = queue.state.dead[1].death
    assert death is not None
    replay = Replay([ReplayItem(death, ev.Published(1, "m", "t", b"", priority=1), 0, [])])
    queue.take(replay, 1)
    pool = member_pool()
    pool.take_from(queue.hand_out(), cancels=False)
    runs = LostRuns(lost, [pool], 1)
    runs.spend(1)
    lost.take(replay, 1)
    runs.spend(1)
    assert lost.hand_out().lease.attempt == 3


def test_what_a_living_worker_holds_is_left_to_it(queue: Queue) -> None:
    delivery, pool, other = queue.hand_out(), member_pool(), member_pool()
    other.take_from(delivery, cancels=False)
    pool.open[1] = delivery
    LostRuns(queue, [pool, other], 1).spend(1)  # type: ignore[arg-type]  # pools of a stand-in
    message = queue.state.messages[1]
    assert message.lease is delivery.lease


def test_a_process_that_is_gone_is_handed_nothing_whatever_the_dispatcher_knows(queue: Queue) -> None:
    """Found by the simulation: the dispatcher died with the news, and one message went out and came back without end."""
    deliveries: Any = Deliveries(queue)  # type: ignore[arg-type]  # as much of one as is needed
    pool, subscription = member_pool(), Subscription("t", 10, 10, 5, 0)
    deliveries.subscribe(Subscribe(subscription, pool))
    pool.is_gone = True
    deliveries.deliver(1)
    deliveries.subscribe(Subscribe(subscription, pool))
    deliveries.deliver(1)
    assert not queue.state.leased


def test_pools_whose_connection_ended_are_asked_too() -> None:
    pools, pool = HandlerPools(), member_pool()
    pools.join(pool)
    pools.leave(pool)
    assert (list(pools.all()), list(pools.holding())) == ([], [pool])


def test_what_no_process_has_claimed_in_time_is_taken_back_again_where_the_disk_has_lost_that(queue: Queue) -> None:
    queue.hand_out()
    orphans = orphaned(queue)
    (orphan,) = orphans.due(queue.state, [], 1 + REATTACH_US)
    assert orphans.again(queue.state) == [orphan], "the frame is void: it is out under the same attempt"
    queue.take(orphan, 1)
    assert orphans.again(queue.state) == []
    queue.hand_out()
    assert orphans.again(queue.state) == []
