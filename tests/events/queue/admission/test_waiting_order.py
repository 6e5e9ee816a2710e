"""The order of publishes that wait for room, and what a pass over them looks at."""

from __future__ import annotations

import pytest

from perdure.events.queue.admission.waiting_order import WaitingOrder


class Room:
    """Admits up to `n` items; refuses an item at its last try."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.tried: list[str] = []
        self.admitted: list[str] = []
        self.refused: list[str] = []

    def __call__(self, item: str, is_last_try: bool) -> bool:
        self.tried.append(item)
        if len(self.admitted) < self.n:
            self.admitted.append(item)
            return True
        if is_last_try:
            self.refused.append(item)
        return is_last_try


def waiting(*deadlines_us: int) -> WaitingOrder[str]:
    order: WaitingOrder[str] = WaitingOrder()
    for key, deadline_us in enumerate(deadlines_us):
        order.add(key, deadline_us, "abcdefgh"[key])
    return order


@pytest.mark.parametrize(
    ("deadlines_us", "now_us", "room", "admitted", "refused", "tried", "left"),
    [
        ((10, 10, 10), 1, 3, "abc", "", "abc", 0),
        ((10, 10, 10), 1, 1, "a", "", "ab", 2),
        ((10, 10, 10), 1, 0, "", "", "a", 3),
        ((10, 20, 30), 9, 0, "", "", "a", 3),
        ((10, 20, 30), 10, 0, "", "a", "ab", 2),
        ((30, 20, 10), 10, 0, "", "c", "ac", 2),
        ((30, 20, 10), 20, 0, "", "cb", "acb", 1),
        ((10, 20, 30), 30, 1, "a", "bc", "abc", 0),
        ((), 1, 1, "", "", "", 0),
    ],
    ids=[
        "room for all",
        "room for one",
        "no room",
        "just before the first deadline",
        "at the deadline of the first",
        "at the deadline of the last",
        "deadlines in their own order",
        "room, even past the deadline",
        "nothing waits",
    ],
)
def test_pass(deadlines_us: tuple[int, ...], now_us: int, room: int, admitted: str, refused: str, tried: str, left: int) -> None:
    order, trial = waiting(*deadlines_us), Room(room)
    order.admit(now_us, trial)
    assert ("".join(trial.admitted), "".join(trial.refused), "".join(trial.tried)) == (admitted, refused, tried)
    assert len(order) == left


def test_what_waits_already_keeps_its_turn() -> None:
    order, trial = waiting(10, 20, 30), Room(3)
    order.add(1, 5, "B")
    assert order.next_deadline_us() == 5
    order.admit(1, trial)
    assert trial.admitted == ["a", "B", "c"]


def test_deadlines_of_what_has_left_are_forgotten() -> None:
    order = waiting(10, 20)
    order.admit(1, Room(1))
    assert order.next_deadline_us() == 20
    order.admit(20, Room(0))
    with pytest.raises(IndexError):
        order.next_deadline_us()


def test_item_stays_where_its_try_breaks_off() -> None:
    order = waiting(10)

    def fails(_item: str, _is_last_try: bool) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        order.admit(1, fails)
    assert len(order) == 1
