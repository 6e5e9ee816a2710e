"""Clients in simulation: their connections break, hang, repeat and reorder frames, and each publish counts once all the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.chaos.oracle.recording_system import RecordingSystem
from perdure.chaos.simulation.processes.simulated_client import SimulatedClient
from perdure.chaos.simulation.processes.simulated_sessions import SimulatedSessions
from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
from perdure.events.errors import NotRunning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.chaos.disk.memory_disk import MemoryDisk


@perdure.message(name="simulated_client.Order")
@attrs.frozen
class Order:
    number: int


class House:
    """A simulated owner, again and again on one disk, and a client that outlives it."""

    def __init__(self) -> None:
        self.executor = SimulatedExecutor(1)
        self.sessions: SimulatedSessions | None = None
        self.handled: list[int] = []
        self.client = SimulatedClient(self.executor, lambda: self.sessions, 20.0)
        self.start(None)

    def start(self, disk: MemoryDisk | None) -> None:
        self.system = RecordingSystem(executor=self.executor, disk=disk)
        self.system.handler(Order)(self.handle)
        self.system.start()
        self.sessions = SimulatedSessions(self.system.as_owner())

    def handle(self, order: Order) -> int:
        self.handled.append(order.number)
        return order.number * 2

    def kill(self) -> None:
        self.sessions = None
        self.client.connection.lose_owner()
        self.executor.forget_all()

    def restart(self) -> None:
        disk = self.system.disk
        disk.owner = None
        self.start(disk)

    def published(self) -> int:
        return self.system.admin.metrics().published


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.system.stop()


def test_a_client_publishes_calls_and_waits_for_results(house: House) -> None:
    ident = house.client.publish(Order(1), keep_result=60.0)
    assert house.client.result(ident, timeout=10.0) == 2
    assert house.client.call(Order(2), timeout=10.0) == 4
    assert [house.client.submit(Order(n)) for n in range(3)][2].done() is False
    house.system.run_until_idle()
    assert house.published() == 5
    assert house.client.connection.held_by_owner == 0


@pytest.mark.parametrize("frames", range(1, 8))
def test_a_connection_that_breaks_at_any_frame_loses_and_doubles_nothing(house: House, frames: int) -> None:
    house.client.publish(Order(0))
    house.client.connection.faults.break_in = frames
    futures = [house.client.submit(Order(n)) for n in range(1, 11)]
    house.client.publish(Order(11))
    house.system.advance(30.0)
    assert len({future.result(0) for future in futures}) == 10
    assert sorted(house.handled) == list(range(12))


@pytest.mark.parametrize("fault", ["repeats", "swaps"])
def test_frames_that_come_twice_or_in_another_order_count_once(house: House, fault: str) -> None:
    setattr(house.client.connection.faults, fault, 6)
    futures = []
    for n in range(10):
        futures.append(house.client.submit(Order(n)))
        house.executor.step()
    house.system.advance(30.0)
    assert len({future.result(0) for future in futures}) == 10
    assert sorted(house.handled) == list(range(10))


@pytest.mark.parametrize("turns", range(0, 60, 6))
def test_an_owner_that_dies_at_any_turn_loses_and_doubles_nothing(house: House, turns: int) -> None:
    house.client.publish(Order(0))
    futures = [house.client.submit(Order(n)) for n in range(1, 11)]
    for _ in range(turns):
        house.executor.step()
    house.kill()
    house.executor.run_until(lambda: False, 5.0)
    house.restart()
    house.system.advance(30.0)
    assert len({future.result(0) for future in futures}) == 10
    assert house.published() == 11
    assert set(house.handled) == set(range(11))


@pytest.mark.parametrize(("seconds", "error"), [(5.0, None), (40.0, perdure.PublishTimeout)])
def test_an_owner_that_hangs_leaves_a_publish_in_doubt_after_the_timeout(
    house: House, seconds: float, error: type[Exception] | None
) -> None:
    house.client.publish(Order(0))
    house.client.connection.hang("owner", seconds)
    before_s = house.executor.monotonic_s()
    publish = partial(house.client.publish, Order(1), id="one")
    if error is None:
        publish()
    else:
        with pytest.raises(error, match="same id"):
            publish()
        assert house.executor.monotonic_s() - before_s < 25.0
        house.system.advance(60.0)
        publish()
    assert house.published() == 2


def test_without_an_owner_a_call_ends_after_the_timeout(house: House) -> None:
    house.client.publish(Order(0))
    house.kill()
    before_s = house.executor.monotonic_s()
    with pytest.raises(NotRunning, match="simulated owner"):
        house.client.publish(Order(1))
    assert 19.0 < house.executor.monotonic_s() - before_s < 25.0
    house.restart()
    assert house.client.publish(Order(2))
    house.system.run_until_idle()
    assert house.published() == 2
