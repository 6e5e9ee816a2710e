"""The cost of a message does not depend on what else waits: lines of Python that run for a command beside few and many messages.

Lines are counted, not seconds; loops in C are the benchmarks' to see (`python -m benchmarks cliffs`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from perdure.events import vocabulary as ev
from perdure.events.commands import Cancel, CheckOut, Done, Draft, Extend, Fail, Publish, Replay, ReplayItem, Subscription
from perdure.events.queue import deadlines, leasing
from perdure.events.queue import decisions as rules
from perdure.events.queue.dead_letters import DeadLettersState, death
from perdure.events.queue.dead_letters import evolve as evolve_letters
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.searching.letter_search import NextLetters, Selection, next_letters, select, stats
from perdure.events.queue.state import QueueState
from perdure.events.runs import expand

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

FEW, MANY = 100, 3_000
TIMES = 20
"""A command is run so often: now and then one tidies up after many."""
LONG_US = 10**12
SLOT = ev.Extras(key_parallelism=1)

Scenario = tuple["Callable[[int], dict[str, Any]]", "Callable[[Bench, int], None]"]


class Bench:
    def __init__(self, options: Callable[[int], dict[str, Any]], waiting: int, limits: rules.Limits) -> None:
        self.state = QueueState()
        self.limits = limits
        self.options = options
        self.now_us = 1_000
        self.n = 0
        for _ in range(waiting):
            self.publish()

    def do(self, command: object) -> list[ev.Event]:
        events = rules.decide(self.state, command, self.now_us, self.limits)
        evolve_all(self.state, events)
        return events

    def publish(self, **options: Any) -> str:
        self.n += 1
        given = {"type": "t", "key": None, "dedup": None, **(options or self.options(self.n))}
        self.do(Publish([Draft(id=f"id{self.n}", payload=b"x", **given)]))
        return f"id{self.n}"

    def deliver(self, kind: str = "t") -> list[tuple[int, str, int]]:
        leases = leasing.deliver(self.state, [Subscription(kind, 1, 1, 5, 0)], self.now_us)
        evolve_all(self.state, leases)
        free_worker_only: list[Any] = expand(leases)
        return [(lease.number, self.state.look(lease.number).published.id, lease.attempt) for lease in free_worker_only]  # type: ignore[union-attr]  # they are there

    def handle(self, kind: str = "t") -> None:
        for place in self.deliver(kind):
            self.do(Done(*place))

    def passes(self, us: int) -> None:
        self.now_us += us
        deadlines.next_deadline_us(self.state)
        evolve_all(self.state, deadlines.due(self.state, self.now_us, self.limits))
        deadlines.overdue(self.state, self.now_us)


def publish_and_handle(bench: Bench, _: int) -> None:
    bench.publish()
    bench.handle()


def publish_and_handle_another(bench: Bench, _: int) -> None:
    bench.publish(type="other")
    bench.handle("other")


def cancel_the_last(bench: Bench, i: int) -> None:
    bench.do(Cancel(f"id{bench.n - i}", "off"))


def cancel_one_in_the_middle(bench: Bench, i: int) -> None:
    bench.do(Cancel(f"id{bench.n // 2 + 2 * i}", "off"))


def replace_one(bench: Bench, i: int) -> None:
    bench.publish(key=f"k{bench.n // 2 - i}", dedup="replace")


def let_time_pass(bench: Bench, _: int) -> None:
    bench.passes(1)


def let_time_pass_and_handle(bench: Bench, _: int) -> None:
    bench.passes(1)
    bench.handle()


def fail_and_try_again(bench: Bench, _: int) -> None:
    for place in bench.deliver():
        bench.do(Fail(*place, "E", "m", "t", 1))
    bench.passes(2)


def check_out_and_extend(bench: Bench, i: int) -> None:
    (lease,) = bench.do(CheckOut("t", f"h{i}", LONG_US, 5))
    assert isinstance(lease, ev.Leased)
    ident = bench.state.messages[lease.number].published.id
    bench.do(Extend(lease.number, ident, 1, LONG_US))
    bench.passes(1)


def die_and_replay(bench: Bench, i: int) -> None:
    del i
    for number, ident, attempt in bench.deliver():
        for event in bench.do(Fail(number, ident, attempt, "E", "m", "t", 0, "never")):
            if isinstance(event, ev.DeadLettered):
                bench.do(Replay([ReplayItem(death(event), event.published, 0, [])]))


def die_for_good(bench: Bench, _: int) -> None:
    for place in bench.deliver():
        bench.do(Fail(*place, "E", "m", "t", 0, "never"))


SCENARIOS: dict[str, Scenario] = {
    "plain": (lambda _: {"type": "t"}, publish_and_handle),
    "plain, called off": (lambda _: {"type": "t"}, cancel_one_in_the_middle),
    "types in turns": (lambda n: {"type": "t" if n % 2 else "u"}, publish_and_handle),
    "types in turns, one waits": (lambda n: {"type": "t" if n % 2 else "u"}, publish_and_handle_another),
    "many types": (lambda n: {"type": f"t{n % 37}"}, publish_and_handle_another),
    "plain and keyed": (lambda n: {"key": f"k{n}", "dedup": "append"} if n % 2 else {"type": "t"}, publish_and_handle),
    "keyed": (lambda n: {"key": f"k{n}", "dedup": "replace"}, replace_one),
    "one key": (lambda _: {"key": "k", "dedup": "append"}, publish_and_handle),
    "slots": (lambda _: {"key": "k", "dedup": "append", "extras": SLOT}, publish_and_handle),
    "slots, called off": (lambda _: {"key": "k", "dedup": "append", "extras": SLOT}, cancel_the_last),
    "group": (lambda _: {"group": "g"}, publish_and_handle),
    "group, called off": (lambda _: {"group": "g"}, cancel_the_last),
    "group, replayed": (lambda _: {"group": "g"}, die_and_replay),
    "priorities": (lambda n: {"priority": n % 7}, publish_and_handle),
    "ttl": (lambda n: {"expires_us": 1_000 + n}, let_time_pass),
    "ttl, called off": (lambda n: {"expires_us": LONG_US + n}, cancel_one_in_the_middle),
    "delay": (lambda n: {"due_us": 1_000 + n}, let_time_pass_and_handle),
    "retries": (lambda n: {"headers": {"n": str(n)}}, fail_and_try_again),
    "letters": (lambda _: {"type": "t"}, die_for_good),
    "results": (lambda _: {"extras": ev.Extras(result_us=LONG_US)}, publish_and_handle),
    "windows": (lambda n: {"key": f"k{n}", "dedup": "replace", "extras": ev.Extras(window_us=LONG_US)}, publish_and_handle),
    "consumers": (lambda _: {"type": "t"}, check_out_and_extend),
}


def _lines(run: Callable[[Bench, int], object], bench: Bench) -> int:
    count = 0

    def trace(_frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for i in range(TIMES):
            run(bench, i)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_command_costs_the_same_beside_many(name: str) -> None:
    options, run = SCENARIOS[name]
    few, many = (_lines(run, Bench(options, n, rules.Limits(dead_letters=10, results=10, held_keys=10))) for n in (FEW, MANY))
    assert many <= 1.3 * few + 100, f"{few} lines of Python beside {FEW} messages, {many} beside {MANY}"


def test_consumers_that_hold_many_do_not_slow_each_other_down() -> None:
    counts = []
    for held in (FEW, MANY):
        bench = Bench(lambda _: {"type": "t"}, held + TIMES, rules.Limits())
        for i in range(held):
            bench.do(CheckOut("t", f"before{i}", LONG_US, 5))
        counts.append(_lines(check_out_and_extend, bench))
    assert counts[1] <= 1.3 * counts[0] + 100


def test_quarantined_messages_that_wait_do_not_slow_a_pass_down() -> None:
    counts = []
    for waiting in (FEW, MANY):
        bench = Bench(lambda _: {"type": "t"}, TIMES, rules.Limits())
        for _ in range(waiting):
            bench.publish(type="paused", headers={"a": "b"})
        leases = leasing.deliver(bench.state, [Subscription("paused", waiting, waiting, 5, 0)], 1)
        evolve_all(bench.state, leases)
        leased: list[Any] = expand(leases)
        lost: list[Any] = [ev.LeaseExpired(lease.number, 1, "dead", True, 1) for lease in leased]
        evolve_all(bench.state, [*lost, *(ev.Leased(event.number, 2) for event in lost)])
        evolve_all(bench.state, [ev.LeaseExpired(event.number, 2, "dead", True, 1) for event in lost])
        assert len(bench.state.quarantined) == waiting
        counts.append(_lines(publish_and_handle, bench))
    assert counts[1] <= 1.3 * counts[0] + 100


LOOKS_AT_LETTERS: dict[str, Callable[[DeadLettersState], object]] = {
    "newest page": lambda letters: select(letters, Selection(limit=5)),
    "next page": lambda letters: select(letters, Selection(limit=5, older_than=[*letters.letters][10])),
    "last page": lambda letters: select(letters, Selection(limit=5, older_than=[*letters.letters][2])),
    "stats": stats,
    "none of a type": lambda letters: select(letters, Selection(type="none")),
    "few of a type": lambda letters: select(letters, Selection(type="rare")),
    "page of a type": lambda letters: select(letters, Selection(type="t", limit=5)),
    "next of a bulk act": lambda letters: next_letters(letters, NextLetters("type=t", 10, 90, 5, 1 << 20, 20)),
}


@pytest.mark.parametrize("look", LOOKS_AT_LETTERS)
def test_a_look_at_dead_letters_costs_the_same_beside_many(look: str) -> None:
    counts = []
    for dead in (FEW, MANY):
        bench = Bench(lambda _: {"type": "t"}, dead, rules.Limits(dead_letters=2 * MANY))
        letters = DeadLettersState()
        bench.publish(type="rare")
        for seq in range(dead + 1):
            for place in bench.deliver("rare" if seq == dead // 2 else "t"):
                for event in bench.do(Fail(*place, "E", "m", "t", 0, "never")):
                    evolve_letters(letters, event, 1, seq)
        assert len(letters.letters) == dead + 1
        counts.append(_lines(lambda _bench, _i: LOOKS_AT_LETTERS[look](letters), bench))  # noqa: B023 - called at once
    assert counts[1] <= 1.3 * counts[0] + 100


def test_types_in_turn_need_as_few_blocks_as_one_type_alone() -> None:
    bench = Bench(lambda n: {"type": f"t{n % 3}"}, MANY, rules.Limits())
    assert len(bench.state.blocks) == 3
    assert sum(block.n for block in bench.state.blocks.values()) == MANY
    for kind in range(3):
        turns = bench.state.ready_queues[f"t{kind}"].first(MANY)
        numbers = [number for turn in turns if isinstance(turn, range) for number in turn]
        assert numbers == [n for n in range(1, MANY + 1) if n % 3 == kind]
