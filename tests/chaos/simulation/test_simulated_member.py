"""Members in simulation: owners and members die at any turn, and members hang; no message is lost, and no attempt runs twice."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.queue.reattaching import Reattach
from perdure.chaos.scenarios.messages import Plain
from perdure.chaos.scenarios.processes.members import Member
from perdure.chaos.scenarios.simulated_bounds import simulated_bounds
from perdure.chaos.scenarios.system_under_test import SystemUnderTest
from perdure.chaos.simulation.processes.simulated_member import SimulatedMember
from perdure.chaos.simulation.simulated_system import SimulatedSystem
from perdure.events.vocabulary import Completed, LateResultRefused, Leased, Published
from tests.chaos.simulation.test_simulated_client import House, Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    import perdure
    from perdure.chaos.oracle.handler_log import Call

ORDERS = 30
PROCESS = {"snapshot_events": 1_000_000, "segment_bytes": 16_384, "workers": 1, "prefetch_ms": 0.0, "history": "keep"}


class Home(SystemUnderTest):
    """An owner of a scenario, and a member whose handlers take the time that messages ask for."""

    def __init__(self) -> None:
        super().__init__(1, [{**PROCESS, "with_others": True, "roles": True, "relays": False}])
        self.start()
        self.start_member(2, Member(1, is_slow=True), relays=False)


@pytest.fixture
def home() -> Iterator[Home]:
    with simulated_bounds(small=False):
        home = Home()
        yield home
        assert home.violations == []
        home.lose_power()
        home.system.stop()
        home.database.end()


class Shop(House):
    """A house with a member. `attempts` has each call of a handler: where it was, the message's id, and the attempt."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, int]] = []
        super().__init__()
        system = SimulatedSystem(executor=self.executor)
        system.handler(Order, lease=10.0)(self.handle_in_member)
        self.member = SimulatedMember(self.executor, lambda: self.sessions, system)
        self.member.begin()

    def handle(self, order: Order, ctx: perdure.Context) -> int:  # type: ignore[override]  # it handles orders alone
        self.attempts.append(("owner", ctx.id, ctx.attempt))
        return order.number

    def handle_in_member(self, order: Order, ctx: perdure.Context) -> int:
        self.attempts.append(("member", ctx.id, ctx.attempt))
        return order.number

    def kill(self) -> None:
        super().kill()
        self.member.connection.lose_owner()

    def publish(self) -> None:
        for number in range(ORDERS):
            self.client.submit(Order(number))

    def steps(self, turns: int) -> None:
        for _ in range(turns):
            self.executor.step()

    def check(self) -> None:
        """Every order is done, and what was called is what is on record."""
        self.system.advance(60.0)
        self.system.drain(timeout=100.0)
        done = [record.event for record in self.system.audit.events(type=Completed)]
        assert len(done) == ORDERS
        calls = Counter((ident, attempt) for _, ident, attempt in self.attempts)
        assert max(calls.values()) == 1, "no attempt runs twice"
        assert len({ident for ident, _ in calls}) == ORDERS


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    if shop.member.connection in shop.executor.bystanders:
        shop.member.die()
    shop.system.stop()


def test_the_owner_and_a_member_share_the_work(shop: Shop) -> None:
    shop.publish()
    shop.check()
    assert {where for where, _, _ in shop.attempts} == {"owner", "member"}


@pytest.mark.parametrize("turns", range(40, 240, 25))
def test_an_owner_that_dies_at_any_turn_takes_nothing_from_its_member(shop: Shop, turns: int) -> None:
    shop.publish()
    shop.steps(turns)
    shop.kill()
    shop.executor.run_until(lambda: False, 3.0)
    shop.restart()
    shop.check()


@pytest.mark.parametrize("turns", range(40, 240, 25))
def test_a_member_that_dies_at_any_turn_leaves_its_messages_to_others(shop: Shop, turns: int) -> None:
    shop.publish()
    shop.steps(turns)
    shop.member.die()
    shop.check()


@pytest.mark.parametrize("frames", range(1, 12, 2))
def test_a_members_connection_that_breaks_at_any_frame_costs_nothing(shop: Shop, frames: int) -> None:
    shop.member.connection.faults.break_in = frames
    shop.publish()
    shop.check()


def _member_call(house: Home) -> Call:
    """Publish slow messages, and return the call that a member began, which takes five seconds."""
    for _ in range(4):
        content, ident = house.publisher_log.new_message(Plain, "slow:5", {})
        house.publisher_log.publish([ident], partial(house.system.publish, content, id=ident))
    calls = house.handler_log.calls
    house.executor.run_until(lambda: any(call.elsewhere and not call.ended for call in calls.values()))
    (running,) = [call for call in calls.values() if call.elsewhere and not call.ended]
    return running


def _lose_owner(house: Home) -> None:
    house.others.lose_owner()
    house.executor.forget_all()


def _check_ran_once(house: Home, running: Call) -> None:
    house.system.advance(10.0)
    house.system.drain(timeout=100.0)
    events = [record.event for record in house.system.audit.events() if record.message_id == running.id]
    assert [type(event) for event in events] == [Published, Leased, Completed]


def test_what_ended_in_a_member_while_there_was_no_owner_counts_with_the_next_one(home: Home) -> None:
    running = _member_call(home)
    _lose_owner(home)
    home.executor.run_until(lambda: running.ended)
    home.executor.run_until(lambda: False, 1.0)
    home.start_successor(home.disk)
    _check_ran_once(home, running)


def test_what_ends_in_a_member_before_the_next_owner_knows_that_it_holds_it_counts(home: Home) -> None:
    running = _member_call(home)
    home.executor.clock.advance(4.5)
    _lose_owner(home)
    home.start_successor(home.disk)
    pending, late = home.system.runtime.pending, list[Any]()
    tell = pending.tell

    def tell_a_busy_queue(name: str, message: Any) -> None:
        if name == "queue" and (late or isinstance(message.command, Reattach)):
            late.append(message)
        else:
            tell(name, message)

    pending.tell = tell_a_busy_queue
    home.executor.run_until(lambda: False, 0.8)
    assert running.ended
    pending.tell = tell
    for message in late:
        tell("queue", message)
    _check_ran_once(home, running)


def test_a_member_that_hangs_loses_its_messages_and_its_late_results_are_refused(shop: Shop) -> None:
    shop.publish()
    shop.executor.run_until(lambda: any(where == "member" for where, _, _ in shop.attempts))
    shop.member.connection.hang("client", 40.0)
    shop.check()
    late = list(shop.system.audit.events(type=LateResultRefused))
    again = {ident for _, ident, attempt in shop.attempts if attempt > 1}
    assert again
    assert {record.message_id for record in late} <= again
