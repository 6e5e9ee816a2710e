"""Deliveries and their outcomes on their way between the owner and a member."""

from __future__ import annotations

import os

import pytest

from perdure.actors.core.messages import Outcomes
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.delivered import Reported, rows_of, taken, worded
from perdure.actors.sessions.member_work.begin_marks import SLOTS, BeginMarks, MarkReader
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.events.commands import Done, DoneRun, Fail
from perdure.events.structures.id_index import IdRun
from perdure.events.structures.message_block import LeaseBatch, MessageBlock
from perdure.events.vocabulary import Leased, Published


def plain(numbers: list[int], prefetched: bool = False) -> list[WorkerDelivery]:
    block = MessageBlock(numbers[0], "T")
    for number in numbers:
        block.add(number, IdRun("0" * 24, number, 1) if number % 2 else [f"own-{number}"], [b"%d" % number], 1)
    lease = LeaseBatch(block, 17, 5, prefetched, numbers, len(numbers))
    return [WorkerDelivery(number, lease, b"%d" % number) for number in numbers]


def crossed(deliveries: list[WorkerDelivery]) -> list[WorkerDelivery]:
    return taken("T", *rows_of(deliveries, OBJECTS), OBJECTS.object)


def test_deliveries_arrive_as_they_were_sent() -> None:
    published = Published(40, "x", "T", b"40", key="k", headers={"h": "v"})
    other = WorkerDelivery(40, Leased(40, 3, 99, 5), b"40", published)
    sent = [*plain([4, 5, 6, 9, 10]), other, *plain([20, 21], prefetched=True)]
    come = {delivery.number: delivery for delivery in crossed(sent)}
    assert sorted(come) == [4, 5, 6, 9, 10, 20, 21, 40]
    for delivery in sent:
        there = come[delivery.number]
        assert (there.attempt_ref, there.payload, there.type) == (delivery.attempt_ref, delivery.payload, "T")
        assert (there.lease.until_us, there.lease.retries) == (delivery.lease.until_us, delivery.lease.retries)
        assert there.lease.prefetched == delivery.lease.prefetched
        assert there.published == delivery.published


def test_completions_cross_as_numbers_over_the_connection_that_handed_them_out_and_in_full_over_any_other() -> None:
    deliveries = plain([4, 5, 6])
    handed = {delivery.lease for delivery in deliveries}
    fail = Fail(9, "y", 1, "E", "m", "t", 0)
    outcomes = Outcomes([fail], DoneRun([4, 5, 6], [d.lease for d in deliveries]))  # type: ignore[misc]  # plain: lease batches
    assert worded(outcomes, handed, {}) == Reported([4, 5, 6], [fail])
    in_full = Reported([], [*(Done(*d.attempt_ref) for d in deliveries), fail])
    assert worded(outcomes, set(), {}) == in_full, "another owner, or the same one since the connection broke"
    mixed = Outcomes([], DoneRun([4, 7], [deliveries[0].lease, plain([7])[0].lease]))  # type: ignore[list-item]  # leases of batches
    assert worded(mixed, handed, {}).done == [], "some came over an earlier connection"
    assert worded(outcomes, handed, {5: ("own", 1)}) == in_full, "the owner has taken one of them back"
    assert OBJECTS.object(OBJECTS.packed(in_full)) == in_full


def test_marks_tell_which_attempts_have_begun() -> None:
    marks = BeginMarks()
    reader = MarkReader(os.dup(marks.fd))
    marks.mark(7, 1)
    marks.mark(8, 300)
    assert reader.has_begun(7, 1)
    assert not reader.has_begun(7, 2), "an earlier attempt's mark says nothing of this one"
    assert reader.has_begun(8, 300)
    assert not reader.has_begun(9, 1)
    marks.mark(7 + SLOTS, 1)
    assert not reader.has_begun(7, 1), "the later one's stays"
    reader.close()
    assert not reader.has_begun(7, 1)


def test_a_file_that_is_no_memory_of_marks_says_nothing() -> None:
    out, into = os.pipe()
    os.close(into)
    reader = MarkReader(out)
    assert not reader.has_begun(7, 1)
    reader.close()


@pytest.mark.parametrize("row", [[4, 0, 5, False, b"\x90", [b"x"]], [4, 0, 5, False, b"\x01", []], [1, 2, 3]])
def test_a_row_that_is_no_delivery_is_refused(row: list[object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        taken("T", [row], [], OBJECTS.object)
