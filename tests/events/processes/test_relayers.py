"""Which process of a folder relays an outbox that several have."""

from __future__ import annotations

import attrs

from perdure.events.processes.relayers import Relayers
from perdure.events.processes.signs_of_life import HEARD_S


@attrs.define(eq=False)
class Process:
    heard_s: float = 0.0


def test_one_process_relays_and_the_next_goes_on_when_it_ends() -> None:
    relayers, first, second = Relayers(), Process(), Process()
    relayers.claim(first, {"orders": 0})
    relayers.claim(second, {"orders": 0, "bills": 0})
    assert relayers.granted(first, 0.0).keys() == {"orders"}
    assert relayers.granted(second, 0.0).keys() == {"bills"}
    relayers.forget(first)
    assert relayers.granted(first, 0.0) == {}
    assert relayers.granted(second, 0.0).keys() == {"orders", "bills"}


def test_a_process_that_hangs_relays_nothing_until_it_goes_on() -> None:
    relayers, first, second = Relayers(), Process(), Process()
    relayers.claim(first, {"orders": 0})
    relayers.claim(second, {"orders": 0})
    second.heard_s = HEARD_S
    assert [*relayers.granted(first, HEARD_S - 0.001)] == ["orders"], "it may still be slow only"
    assert [*relayers.granted(second, HEARD_S - 0.001)] == []
    assert [*relayers.granted(first, HEARD_S)] == []
    assert [*relayers.granted(second, HEARD_S)] == ["orders"]
    first.heard_s = HEARD_S
    assert [*relayers.granted(first, HEARD_S)] == ["orders"]
    assert [*relayers.granted(second, HEARD_S)] == []


def test_where_no_process_is_heard_none_relays() -> None:
    relayers, process = Relayers(), Process()
    relayers.claim(process, {"orders": 0})
    assert relayers.granted(process, 2 * HEARD_S) == {}


def test_what_the_owner_has_it_relays_itself() -> None:
    relayers, member = Relayers(), Process()
    relayers.claim(member, {"orders": 0}, ["orders"])
    assert relayers.granted(member, 0.0, ["orders"]) == {}
    assert relayers.granted(member, 0.0).keys() == {"orders"}


def test_an_outbox_that_a_process_has_no_more_is_another_ones() -> None:
    relayers, first, second = Relayers(), Process(), Process()
    relayers.claim(first, {"orders": 0})
    relayers.claim(second, {"orders": 0})
    relayers.claim(first, {})
    assert relayers.granted(second, 0.0).keys() == {"orders"}


def test_news_in_one_process_reaches_the_one_that_relays() -> None:
    relayers, first, second = Relayers(), Process(), Process()
    own = ["bills"]
    assert not relayers.claim(first, {"orders": 0}, own)
    assert relayers.claim(second, {"orders": 4, "bills": 4}, own), "it said so before it was known which outbox it has, perhaps"
    before = relayers.granted(first, 0.0, own)
    assert not relayers.claim(second, {"orders": 4, "bills": 4}, own)
    assert relayers.granted(first, 0.0, own) == before
    assert not relayers.claim(second, {"orders": 5, "bills": 4}, own), "the owner does not relay that one"
    assert relayers.granted(first, 0.0, own) != before
    assert relayers.claim(second, {"orders": 5, "bills": 5}, own)
