"""What a page touches stays bounded, however much waits: in steps, not in time. Lists of what waits lose and repeat nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.console.console import Console
from perdure.console.log import listing
from perdure.console.log.listing import by_place
from perdure.console.log.walk import Budget
from perdure.events.structures.message import Message
from perdure.events.structures.ready_queue import ReadyQueue
from perdure.security import Rights
from perdure.store import MemoryStore
from tests.host.console.conftest import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.queue.state import QueueState
    from perdure.events.structures.ready_queue import Turn

MANY = 3_000


@perdure.message(name="shop.Waiting")
@attrs.frozen
class Waiting:
    i: int


@perdure.message(name="shop.Again")
@attrs.frozen
class Again:
    i: int


@pytest.fixture(scope="module")
def waiting() -> Iterator[QueueState]:
    """The state of a queue in which plain messages, ones with keys and ones of another type wait."""
    system = perdure.System(store=MemoryStore())
    with system:
        system.publish_many([Waiting(i) for i in range(MANY)])
        system.publish_many([Again(i) for i in range(MANY)], keys=[str(i) for i in range(MANY)])
        for i in range(40):
            system.publish(Waiting(i), priority=3)
        console = Console(Console.of(system).reader, system, rights=Rights())
        until(lambda: _reads(console))
        yield console.live.states.queue
        console.close()


def _reads(console: Console) -> bool:
    try:
        with console.view() as view:
            return view.states.queue.live == 2 * MANY + 40
    except perdure.PerdureError:
        return False


def pages(queue: QueueState, type_name: str = "", most: int = 50) -> list[list[int]]:
    found, skip = [list[int]()], 0
    while True:
        some, skip = by_place(queue, "ready", Budget(60.0), type_name=type_name, skip=skip, most=most, wanted=lambda _: True)
        found.append([message.number for message in some])
        if not skip:
            return found


@pytest.mark.parametrize(("type_name", "count"), [("", 2 * MANY + 40), ("shop.Waiting", MANY + 40), ("shop.Again", MANY)])
def test_pages_of_what_is_ready_are_all_of_it_once_and_in_order(waiting: QueueState, type_name: str, count: int) -> None:
    found = [number for page in pages(waiting, type_name, 333) for number in page]
    assert len(found) == len(set(found)) == count
    in_order = [
        number
        for name in ([type_name] if type_name else sorted(waiting.ready_queues))
        for turn in waiting.ready_queues[name].first(count)
        for number in ((turn.number,) if isinstance(turn, Message) else turn)
    ]
    assert found == in_order


@pytest.mark.parametrize("skip", [0, 50, 2_000])
def test_a_page_of_what_is_ready_steps_over_what_is_before_it_and_little_more(
    waiting: QueueState, monkeypatch: pytest.MonkeyPatch, skip: int
) -> None:
    asked: list[int] = []
    first = ReadyQueue.first

    def counting(queue: ReadyQueue, n: int) -> list[Turn]:
        asked.append(n)
        return first(queue, n)

    monkeypatch.setattr(ReadyQueue, "first", counting)
    by_place(waiting, "ready", Budget(60.0), type_name="", skip=skip, most=50, wanted=lambda _: True)
    assert sum(asked) <= skip + 2 * listing.FIRST_ASKED


def test_list_of_what_is_ready_ends_before_a_page_would_step_over_too_much(
    waiting: QueueState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SKIPPED_MAX", 500)
    assert sum(len(page) for page in pages(waiting)) == 500


def test_a_filter_that_nothing_passes_ends_at_its_bound_and_says_where_to_go_on(
    waiting: QueueState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKED_MAX", 700)
    looked = 0

    def none(_message: Message) -> bool:
        nonlocal looked
        looked += 1
        return False

    assert by_place(waiting, "ready", Budget(60.0), type_name="", skip=100, most=50, wanted=none) == ([], 800)
    assert looked == 700
