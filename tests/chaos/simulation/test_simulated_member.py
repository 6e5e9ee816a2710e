"""Members in simulation: owners and members die at any turn, and members hang; no message is lost, and no attempt runs twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from perdure.chaos.simulation.simulated_member import SimulatedMember
from perdure.chaos.simulation.simulated_system import SimulatedSystem
from perdure.events.vocabulary import Completed, LateResultRefused
from tests.chaos.simulation.test_simulated_client import House, Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    import perdure

ORDERS = 30


class Shop(House):
    """A house with a member. `attempts` has each call of a handler: where it was, the message's id, and the attempt."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, int]] = []
        super().__init__()
        system = SimulatedSystem(executor=self.executor)
        system.handler(Order, lease=10.0)(self.handle_in_member)
        self.member = SimulatedMember(self.executor, lambda: self.sessions, system)
        self.member.begin()

    def handle(self, order: Order, ctx: perdure.Context) -> int:  # type: ignore[override]
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


def test_a_member_that_hangs_loses_its_messages_and_its_late_results_are_refused(shop: Shop) -> None:
    shop.publish()
    shop.executor.run_until(lambda: any(where == "member" for where, _, _ in shop.attempts))
    shop.member.connection.hang("client", 40.0)
    shop.check()
    late = list(shop.system.audit.events(type=LateResultRefused))
    again = {ident for _, ident, attempt in shop.attempts if attempt > 1}
    assert again
    assert {record.message_id for record in late} <= again
