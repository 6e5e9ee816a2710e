"""A store that cannot say whether it wrote a frame: the journal answers its requests only once that is known."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store import AppendInDoubt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.store.values import Recovered


@attrs.frozen
class Order:
    name: str


def final_refusal(system: perdure.System) -> perdure.NotRunning:
    """Publish until the system says that it has stopped, and return how it says so."""
    while True:
        try:
            system.publish(Order("later"))
        except perdure.NotRunning as error:
            return error
        except perdure.PerdureError:
            continue


def accepted(system: perdure.System) -> str:
    """Publish until it is accepted: while the journal opens the log again, callers are refused."""
    while True:
        with contextlib.suppress(perdure.StoreUnavailable):
            return system.publish(Order("after"))


class DoubtfulStore(perdure.MemoryStore):
    """Loses the answer to an append, whether it wrote the frame or not, and cannot be opened again for a while."""

    def __init__(self, *, writes: bool) -> None:
        super().__init__()
        self.writes = writes
        self.doubts = 0
        self.is_away = threading.Event()
        self.comes_back = threading.Event()
        self.voided: list[int | None] = []

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
        if not self.doubts or b"doubtful" not in body:
            super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)
            return
        self.doubts -= 1
        if self.writes:
            super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)
            self.last_seq -= count
        raise AppendInDoubt("the answer was lost")

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        if void_after is not None:
            self.is_away.set()
            assert self.comes_back.wait(60)
        self.voided.append(void_after)
        return super().reopen(void_after=void_after)


@pytest.mark.parametrize("writes", [True, False])
def test_a_publish_in_doubt_is_answered_once_the_doubt_is_settled_and_counts_once(writes: bool) -> None:
    store = DoubtfulStore(writes=writes)
    with perdure.System(store=store) as system:
        system.publish(Order("before"))
        store.doubts = 1
        doubtful = system.submit(Order("doubtful"))
        assert store.is_away.wait(60)
        assert not doubtful.done(), "it is not known whether it was published"
        store.comes_back.set()
        ident = doubtful.result(60)
        names = [record.message_id for record in system.audit.events(type="Published")]
        assert names.count(ident) == 1
    assert any(after is not None for after in store.voided)


def test_a_publish_that_was_twice_in_doubt_is_refused_only_once_it_is_known_not_to_be_there() -> None:
    store = DoubtfulStore(writes=True)
    store.comes_back.set()
    with perdure.System(store=store) as system:
        store.doubts = 2
        with pytest.raises(perdure.StoreUnavailable):
            system.publish(Order("doubtful"))
        assert not list(system.audit.events(type="Published"))
        accepted(system)


def test_an_owner_that_was_replaced_stops_for_good_and_says_so() -> None:
    class Replaced(perdure.MemoryStore):
        is_lost = False

        def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
            if self.is_lost:
                raise perdure.OwnershipLost("another process has taken over")
            super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)

    store = Replaced()
    with perdure.System(store=store) as system:
        system.publish(Order("before"))
        store.is_lost = True
        with pytest.raises(perdure.PerdureError):
            system.publish(Order("after"))
        assert isinstance(final_refusal(system).__cause__, perdure.OwnershipLost)
    store.is_lost = False
    with perdure.System(store=store) as system:
        assert [record.name for record in system.audit.events(type="Published")] == ["Published"]
