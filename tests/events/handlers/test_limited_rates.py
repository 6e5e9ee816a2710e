"""A limited rate: when the queue must look again for what a handler may have next."""

from __future__ import annotations

from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, Orphan, Publish, Subscription
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing, rates
from perdure.events.queue.folding.folds import evolve, evolve_all
from perdure.events.queue.state import FOREVER, QueueState
from perdure.events.runs import expand

LIMITS = rules.Limits()
PACED = Subscription("paced", 4, 4, 5, 0, interval_us=100)
OTHER = Subscription("other", 1, 1, 5, 0)


def do(state: QueueState, command: object, now_us: int) -> None:
    for event in rules.decide(state, command, now_us, LIMITS):
        evolve(state, event)


def deliver(state: QueueState, now_us: int) -> list[str]:
    leases = leasing.deliver(state, [PACED, OTHER], now_us)
    evolve_all(state, leases)
    numbers = [lease.number for lease in expand(leases) if isinstance(lease, ev.Leased)]
    ids = {1: "a", 2: "b", 3: "c"}
    if paced := [n for n in numbers if ids[n] != "c"]:
        evolve(state, rates.pace(state, PACED, len(paced), now_us))
    return [ids[number] for number in numbers]


def test_next_look_is_when_the_rate_allows_the_next() -> None:
    state = QueueState()
    assert rates.next_pace_us(state, PACED, 1_000) == FOREVER, "there is nothing"
    do(state, Publish([Draft("a", "paced", b""), Draft("b", "paced", b"")]), 1_000)
    assert deliver(state, 1_000) == ["a"]
    assert rates.next_pace_us(state, PACED, 1_000) == 1_100
    assert deliver(state, 1_099) == []
    assert deliver(state, 1_100) == ["b"]
    assert rates.next_pace_us(state, PACED, 1_100) == FOREVER


def test_what_the_rate_allows_and_another_message_holds_up_is_not_waited_for_by_time() -> None:
    """Found by seed 1075280639805 of the simulation: the queue looked fifty times a second until that one had ended."""
    state = QueueState()
    do(state, Publish([Draft("a", "paced", b""), Draft("b", "paced", b""), Draft("c", "other", b"")]), 1_000)
    for _ in range(2):
        assert "c" in deliver(state, 1_000)
        do(state, Orphan(3, started=True), 1_000)  # may have killed its process: to run alone
    assert deliver(state, 5_000) == [], "it waits for `a` to end"
    assert rates.next_pace_us(state, PACED, 5_000) == FOREVER
