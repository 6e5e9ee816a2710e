"""Each broken invariant is reported at a start. That they hold in random histories is tested in test_law_one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import States, fold
from perdure.events.commands import CheckOut, Draft, Fail, Publish
from perdure.events.queue import decisions as rules
from perdure.events.queue.folding.folds import evolve
from perdure.events.queue.invariants import contradictions
from perdure.events.queue.state import Dead
from perdure.events.runs import count, expand

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_US = 1_000


def history() -> States:
    """Return states with one message out of a key and a group, one waiting, one dead."""
    states = States()

    def do(command: object) -> None:
        events = rules.decide(states.queue, command, NOW_US, rules.Limits())
        fold(states, [(NOW_US, events)], states.seq + 1)
        assert count(events) == len(expand(events))

    do(Publish([Draft("one", "a", b"1"), Draft("two", "a", b"2", "k", "replace", group="g"), Draft("three", "b", b"3")]))
    do(CheckOut("a", "first", 60, 0))
    do(Fail(1, "one", 1, "E", "m", "t", 0, "never"))
    do(CheckOut("a", "second", 60, 0))
    return states


def _forget_the_letter(states: States) -> None:
    states.dead_letters.letters.clear()


def _count_one_more(states: States) -> None:
    states.queue.counts("b").ready += 1


def _publish_unseen(states: States) -> None:
    states.queue.counts("b").published += 1


def _drop_a_lease(states: States) -> None:
    del states.queue.leased[2]


def _live_again(states: States) -> None:
    states.queue.dead[3] = Dead("three", "b")


def _give_numbers_again(states: States) -> None:
    states.queue.next_number = 1


def _out_together(states: States) -> None:
    other = ev.Published(4, "four", "a", b"4", "k", "append", group="g")
    evolve(states.queue, other)
    evolve(states.queue, ev.Leased(4, 1, NOW_US + 60, 0, "third"))


def _forget_bytes(states: States) -> None:
    states.queue.dead_bytes -= 1


def _count_bytes_of_results(states: States) -> None:
    states.queue.results_bytes += 7


def test_true_history_has_no_contradiction() -> None:
    states = history()
    assert (len(states.queue.leased), len(states.queue.dead), states.queue.live) == (1, 1, 2)
    assert contradictions(states.queue, states.dead_letters) == []


@pytest.mark.parametrize(
    ("harm", "wanted"),
    [
        (_forget_the_letter, "queue and dead letters disagree about the messages of number 1"),
        (_count_one_more, "3 messages are counted as live, 2 are"),
        (_publish_unseen, "4 messages were published"),
        (_drop_a_lease, "1 messages are counted as in flight, 0 have a lease"),
        (_live_again, "live and dead at the same time: the messages of number 3"),
        (_give_numbers_again, "numbers that are yet to be given"),
        (_forget_bytes, "dead letters are counted as"),
        (_count_bytes_of_results, "results are counted as 7 bytes, and have 0"),
        (_out_together, "more than one message is out of the groups 'g'"),
    ],
)
def test_broken_invariant_is_reported(harm: Callable[[States], None], wanted: str) -> None:
    states = history()
    harm(states)
    found = contradictions(states.queue, states.dead_letters)
    assert any(wanted in contradiction for contradiction in found), found
