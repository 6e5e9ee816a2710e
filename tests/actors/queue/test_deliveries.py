"""The start of a term of the queue: the workers' deliveries are reconciled with the leases in the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from perdure.actors.queue.deliveries import Deliveries
from perdure.actors.workers.pools.pool import DONE, Pool, WorkerDelivery
from perdure.actors.workers.pools.worker_messages import Deliver, Subscribe
from perdure.events import vocabulary as ev
from perdure.events.commands import CheckOut, Draft, Publish, Release, Subscription
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.folding.folds import evolve, evolve_all
from perdure.events.queue.state import QueueState

LIMITS = rules.Limits()
WORKER = object()
MEMBERS = (Draft("a", "t", b"", group="g"), Draft("b", "t", b"", group="g"))


class Term:
    """A queue's term with one handler, and the events that it has decided."""

    def __init__(self, *drafts: Draft) -> None:
        self.state = QueueState()
        self.written: list[Any] = []
        self.deliveries = Deliveries(cast("Any", self))
        self.pool = Pool(cast("Any", SimpleNamespace(type="t")))
        self.decide(Publish(list(drafts)), 1)

    def decide(self, command: object, now_us: int) -> list[ev.Event]:
        events = rules.decide(self.state, command, now_us, LIMITS)
        for event in events:
            evolve(self.state, event)
        return events

    def take(self, command: object, now_us: int) -> None:
        self.decide(command, now_us)

    def apply(self, events: list[Any]) -> None:
        evolve_all(self.state, events)

    def lease(self) -> list[ev.Leased]:
        leases = leasing.deliver(self.state, [Subscription("t", 10, 10, 5, 0)], 1)
        evolve_all(self.state, leases)
        return [lease for lease in leases if isinstance(lease, ev.Leased)]

    def has(self, number: int, attempt: int) -> WorkerDelivery:
        """A worker's pool has this delivery, from a term before."""
        published = self.state.messages[number].published
        delivery = WorkerDelivery(number, ev.Leased(number, attempt, 0, 5), b"", published)
        self.pool.deliver([delivery])
        return delivery

    def reconcile(self) -> list[int]:
        """Give the numbers of what the workers are given beyond what they have."""
        self.deliveries.reconcile([self.pool], 2)
        return [d.number for sent in self.written if isinstance(sent, Deliver) for d in sent.deliveries]


def test_lease_that_was_lost_with_its_frame_is_on_record_again() -> None:
    term = Term(Draft("a", "t", b"", group="g"))
    delivery = term.has(1, attempt=1)
    assert term.reconcile() == []
    assert 1 in term.state.leased
    assert not delivery.lost


def test_delivery_whose_turn_it_is_no_more_does_not_begin() -> None:
    """Found by seed 5000000026 of the simulation: it began beside the member of its group that is before it."""
    term = Term(*MEMBERS)
    delivery = term.has(2, attempt=1)
    term.decide(CheckOut("t", "an operator", 60, 5), 1)  # of `a`
    assert term.reconcile() == []
    assert delivery.lost
    assert not delivery.claimed_by(WORKER)
    assert term.pool.open == {}, "no worker waits for it"


def test_handler_whose_turn_it_is_no_more_sees_it() -> None:
    term = Term(*MEMBERS)
    delivery = term.has(2, attempt=1)
    delivery.claimed_by(WORKER)
    term.decide(CheckOut("t", "an operator", 60, 5), 1)
    assert term.reconcile() == []
    assert delivery.lost
    assert term.pool.open == {2: delivery}, "it will tell how it ended"


def test_delivery_that_has_ended_is_not_taken_back() -> None:
    term = Term(*MEMBERS)
    delivery = term.has(2, attempt=1)
    delivery.outcome = DONE
    term.decide(CheckOut("t", "an operator", 60, 5), 1)
    term.reconcile()
    assert not delivery.lost


def test_a_leased_message_that_no_worker_has_is_delivered() -> None:
    term = Term(Draft("a", "t", b"", key="k"), Draft("b", "t", b"", key="l"))
    for lease in term.lease():
        if lease.number == 1:
            term.has(1, attempt=1)
    assert term.reconcile() == [2]


def test_deliveries_of_manual_consumers_are_left_alone() -> None:
    term = Term(Draft("a", "t", b""))
    term.decide(CheckOut("t", "an operator", 60, 5), 1)
    assert term.reconcile() == []


def test_what_other_processes_may_still_run_after_a_takeover_counts_in_the_limit() -> None:
    """Four workers of the next owner began, beside one in a process that was not back yet."""
    term = Term(*(Draft(f"{n}", "t", b"", key=f"{n}") for n in range(9)))
    held = term.lease()[:1]
    term.state = QueueState()
    term.decide(Publish([Draft(f"{n}", "t", b"", key=f"{n}") for n in range(9)]), 1)
    evolve_all(term.state, held)
    term.deliveries.subscribe(Subscribe(Subscription("t", 40, 4, 5, 0, limit=4), term.pool))
    term.deliveries.deliver(2)
    assert len(term.state.leased) == 4


def test_nothing_waits_behind_what_runs_under_a_limit_since_more_workers_may_come() -> None:
    """Found by the simulation: an elastic handler of one worker had prefetched ten; then it had four, beside a member's."""
    term = Term(*(Draft(f"{n}", "t", b"", key=f"{n}") for n in range(9)))
    other = Pool(cast("Any", SimpleNamespace(type="t")))
    term.deliveries.subscribe(Subscribe(Subscription("t", 20, 1, 5, 0, limit=4), term.pool))
    term.deliveries.subscribe(Subscribe(Subscription("t", 20, 3, 5, 0, limit=4), other))
    term.deliveries.deliver(2)
    assert len(term.state.leased) == 4
    term.deliveries.subscribe(Subscribe(Subscription("t", 80, 4, 5, 0, limit=4), term.pool))
    term.deliveries.deliver(3)
    assert len(term.state.leased) == 4


def test_what_another_process_still_runs_after_a_takeover_takes_no_place_of_the_owners_own_workers() -> None:
    """It subscribed before it said what it has: the owner's workers were to have all of that, and were handed nothing."""
    drafts = [Draft(f"{n}", "t", b"", key=f"{n}") for n in range(9)]
    term = Term(*drafts)
    held = term.lease()[:2]
    term.state = QueueState()
    term.decide(Publish(drafts), 1)
    evolve_all(term.state, held)
    other = Pool(cast("Any", SimpleNamespace(type="t")))
    subscription = Subscription("t", 2, 2, 5, 0)
    term.deliveries.subscribe(Subscribe(subscription, term.pool))
    term.deliveries.subscribe(Subscribe(subscription, other))
    other.deliver([term.deliveries.delivery_of(lease.number) for lease in held])
    term.deliveries.subscribe(Subscribe(subscription, other))
    term.deliveries.deliver(2)
    handed = [(sent.pool, len(sent.deliveries)) for sent in term.written if isinstance(sent, Deliver)]
    assert handed == [(term.pool, 2)]


def test_what_is_on_its_way_to_a_pool_counts_there_though_another_has_an_attempt_of_it_that_is_over() -> None:
    drafts = [Draft(f"{n}", "t", b"", key=f"{n}") for n in range(9)]
    term = Term(*drafts)
    other = Pool(cast("Any", SimpleNamespace(type="t")))
    subscription = Subscription("t", 2, 2, 5, 0)
    term.deliveries.subscribe(Subscribe(subscription, other))
    term.deliveries.deliver(2)
    first = [term.deliveries.delivery_of(number) for number in [*term.state.leased]]
    other.deliver(first)
    for delivery in first:
        delivery.outcome = Release(*delivery.attempt_ref, "its process stops")
        term.decide(delivery.outcome, 2)
    term.deliveries.subscribe(Subscribe(subscription, other, leaves=True))
    term.deliveries.subscribe(Subscribe(subscription, term.pool))
    term.deliveries.deliver(2)
    term.deliveries.subscribe(Subscribe(subscription, other))
    term.deliveries.subscribe(Subscribe(subscription, other))
    term.written.clear()
    term.deliveries.deliver(3)
    handed = [(sent.pool, len(sent.deliveries)) for sent in term.written if isinstance(sent, Deliver)]
    assert handed == [(other, 2)], "the first two are in hand"
