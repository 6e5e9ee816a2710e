"""Which process of a folder relays an outbox that several have."""

from __future__ import annotations

import attrs

from perdure.actors.services.relayers import Relayers


@attrs.define(eq=False)
class Process:
    heard: bool = True

    def is_heard(self, within_s: float) -> bool:
        assert within_s == 0
        return self.heard


def test_one_process_relays_and_the_next_goes_on_when_it_ends() -> None:
    relayers, first, second = Relayers(), Process(), Process()
    relayers.claim(first, {"orders": 0})
    relayers.claim(second, {"orders": 0, "bills": 0})
    assert relayers.granted(first).keys() == {"orders"}
    assert relayers.granted(second).keys() == {"bills"}
    relayers.left(first)
    assert relayers.granted(first) == {}
    assert relayers.granted(second).keys() == {"orders", "bills"}


def test_a_process_that_hangs_relays_nothing_until_it_goes_on() -> None:
    relayers, first, second = Relayers(), Process(), Process()
    relayers.claim(first, {"orders": 0})
    relayers.claim(second, {"orders": 0})
    first.heard = False
    assert [*relayers.granted(first)] == []
    assert [*relayers.granted(second)] == ["orders"]
    first.heard = True
    assert [*relayers.granted(first)] == ["orders"]
    assert [*relayers.granted(second)] == []


def test_what_the_owner_has_it_relays_itself() -> None:
    own: list[str] = ["orders"]
    relayers, member = Relayers(lambda: own), Process()
    relayers.claim(member, {"orders": 0})
    assert relayers.granted(member) == {}
    own.clear()
    assert relayers.granted(member).keys() == {"orders"}


def test_an_outbox_that_a_process_has_no_more_is_another_ones() -> None:
    relayers, first, second = Relayers(), Process(), Process()
    relayers.claim(first, {"orders": 0})
    relayers.claim(second, {"orders": 0})
    relayers.claim(first, {})
    assert relayers.granted(second).keys() == {"orders"}


def test_news_in_one_process_reaches_the_one_that_relays() -> None:
    looks: list[int] = []
    relayers, first, second = Relayers(lambda: ["bills"], lambda: looks.append(1)), Process(), Process()
    relayers.claim(first, {"orders": 0})
    relayers.claim(second, {"orders": 4, "bills": 4})
    before = relayers.granted(first)
    assert looks == [1], "it said so before it was known which outbox it has, perhaps"
    relayers.claim(second, {"orders": 4, "bills": 4})
    assert relayers.granted(first) == before
    relayers.claim(second, {"orders": 5, "bills": 5})
    assert relayers.granted(first) != before
    assert looks == [1, 1]
