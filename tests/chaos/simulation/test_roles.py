"""Members in simulation that are more than workers: one becomes the owner in its process, one checks out by hand, several relay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure.chaos.disk.memory_disk import Killed
from perdure.chaos.oracle.history_checks import check_history
from perdure.chaos.scenarios.messages import Manual, Plain, Task
from perdure.chaos.scenarios.processes.members import Member
from perdure.chaos.scenarios.promotion import promote
from perdure.chaos.scenarios.simulated_bounds import simulated_bounds
from perdure.chaos.scenarios.system_under_test import SystemUnderTest
from perdure.events.vocabulary import Completed, LeaseExpired, Started

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, SECOND = 2, 3
"""The numbers of the members."""
PROCESS = {"snapshot_events": 1_000_000, "segment_bytes": 16_384, "workers": 1, "prefetch_ms": 0.0, "history": "keep"}


class House(SystemUnderTest):
    """An owner and a member that may become one; the owner has no relay."""

    def __init__(self) -> None:
        super().__init__(1, [{**PROCESS, "with_others": True, "roles": True, "relays": False}])
        self.start()
        self.add(FIRST)

    def add(self, n: int, **how: Any) -> None:
        self.start_member(n, Member(1, is_slow=True, may_own=True), relays=True, **how)

    def publish(self, kind: type[Any], how: str) -> str:
        content, ident = self.publisher_log.new_message(kind, how, {})
        self.publisher_log.publish([ident], lambda: self.system.publish(content, id=ident))
        return ident

    def recorded(self, kind: type[Any], ident: str) -> int:
        return sum(record.message_id == ident for record in self.system.audit.events(type=kind))

    def write_row(self) -> str:
        content, ident = self.publisher_log.new_message(Plain, "done", {})
        self.database.write([(content, ident, {})], commit=True)
        return ident

    def relaying(self) -> list[int]:
        relays = {n: self.database.of_members[member] for n, member in self.others.members.items()}
        return [n for n, relay in relays.items() if relay.is_granted]


@pytest.fixture
def house() -> Iterator[House]:
    with simulated_bounds(small=False):
        house = House()
        yield house
        assert house.violations == []
        house.lose_power()
        house.always_relays = True
        house.restart(5.0)
        house.system.advance(120.0)
        while (delivery := house.system.checkout(Manual, lease=1000.0)) is not None:
            delivery.ack()
        check_history(house.history())
        house.system.stop()
        house.database.end()


def test_handlers_that_run_in_a_member_go_on_when_it_becomes_the_owner(house: House) -> None:
    idents = [house.publish(Task, "slow:20") for _ in range(4)]
    house.executor.run_until(lambda: any(not call.ended for call in house.handler_log.calls.values() if call.elsewhere))
    (running,) = [call for call in house.handler_log.calls.values() if call.elsewhere and not call.ended]
    promote(house, FIRST)
    assert running.home is house.system
    assert not running.ended
    house.system.advance(10.0)
    house.system.drain(timeout=1_000.0)
    assert running.ended
    assert [house.recorded(Completed, ident) for ident in idents] == [1] * 4
    assert house.recorded(LeaseExpired, running.id) == 0
    assert [record.event.pid for record in house.system.audit.events(type=Started)] == [1, 2]


@pytest.mark.parametrize("points", [1, 2, 3, 5, 7, 9])
def test_a_member_that_dies_as_it_becomes_the_owner_leaves_all_to_the_next_one(house: House, points: int) -> None:
    idents = [house.publish(Task, "slow:5") for _ in range(4)]
    house.system.advance(1.0)
    connection = house.others.members[FIRST].connection
    with pytest.raises(Killed):
        promote(house, FIRST, dies_in=points)
    assert connection not in house.executor.bystanders, "nothing of a dead process connects to the next owner"
    house.start_successor(house.disk)
    house.end_faults()
    house.system.drain(timeout=1_000.0)
    assert [house.recorded(Completed, ident) for ident in idents] == [1] * 4


def test_what_a_member_has_checked_out_stays_its_own_when_it_becomes_the_owner(house: House) -> None:
    ident = house.publish(Manual, "done")
    delivery = house.others.members[FIRST].system.checkout(Manual, lease=60.0)
    assert delivery is not None
    promote(house, FIRST)
    house.system.advance(10.0)
    delivery.extend(60.0)
    delivery.ack()
    assert house.recorded(Completed, ident) == 1


def test_what_a_member_has_checked_out_stays_its_own_when_another_becomes_the_owner(house: House) -> None:
    house.add(SECOND)
    ident = house.publish(Manual, "done")
    delivery = house.others.members[FIRST].system.checkout(Manual, lease=60.0)
    assert delivery is not None
    promote(house, SECOND)
    house.system.advance(10.0)
    delivery.ack()
    assert house.recorded(Completed, ident) == 1
    assert house.recorded(LeaseExpired, ident) == 0


def test_what_a_dead_member_had_checked_out_is_ready_again_within_seconds(house: House) -> None:
    ident = house.publish(Manual, "done")
    assert house.others.members[FIRST].system.checkout(Manual, lease=600.0) is not None
    house.kill_member(FIRST)
    house.system.advance(4.0)
    delivery = house.system.checkout(Manual)
    assert delivery is not None
    assert (delivery.id, delivery.attempt) == (ident, 2)
    delivery.ack()


@pytest.mark.parametrize("trouble", ["dies", "hangs", "read", "delete", "becomes the owner"])
def test_one_process_relays_the_outbox_of_several_and_another_goes_on(house: House, trouble: str) -> None:
    house.add(SECOND)
    house.system.advance(5.0)
    (first,) = house.relaying()
    other = FIRST + SECOND - first
    relay = house.database.of_members[house.others.members[first]]
    match trouble:
        case "dies":
            house.kill_member(first)
        case "hangs":
            house.others.members[first].connection.hang("client", 60.0)
        case "becomes the owner":
            promote(house, first)
        case _:
            relay.cannot = trouble
    ident = house.write_row()
    house.database.of_members[house.others.members[other]].notify()
    house.system.advance(15.0)
    assert not house.database.holds(ident)
    assert house.recorded(Completed, ident) == 1
    relay.cannot = ""
    house.end_faults()
    house.system.advance(5.0)
    assert house.relaying() == {"becomes the owner": [], "hangs": [first]}.get(trouble, [other])
