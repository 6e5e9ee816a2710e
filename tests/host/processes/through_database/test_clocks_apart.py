"""Publishers whose clocks differ from their owner's: moments of rows are compared by the database's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.actors.core.clock import SystemClock
from perdure.store.postgres.connecting.postgres_address import PostgresAddress
from perdure.store.postgres.traffic.ingress import APART_US, Ingress
from tests.postgres_server import PATIENCE_S, check_installed, new_queue, shared_server

if TYPE_CHECKING:
    from tests.host.conftest import Until

pytestmark = pytest.mark.xdist_group("postgres")

HOURS_US = 3 * 3600 * 1_000_000


@perdure.message(name="job")
@attrs.frozen
class Job:
    name: str


class Apart(SystemClock):
    """The clock of a machine that is ahead of this one, or behind it."""

    def __init__(self, by_us: int) -> None:
        super().__init__()
        self._by_us = by_us

    def now_us(self) -> int:
        return super().now_us() + self._by_us

    def wall_us(self) -> int:
        return super().wall_us() + self._by_us


def address(name: str) -> str:
    return f"{shared_server().dsn}#{name}"


def publisher(name: str, by_us: int) -> perdure.Client:
    client = perdure.connect(address(name), timeout=PATIENCE_S)
    client.clock = client.drafts.clock = Apart(by_us)
    return client


def owner(name: str, by_us: int) -> perdure.System:
    return perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name), clock=Apart(by_us))


@pytest.fixture
def name() -> str:
    check_installed()
    made = new_queue()
    with owner(made, 0):
        pass  # the tables are there, and the queue
    return made


@pytest.mark.parametrize("by_us", [HOURS_US, -HOURS_US])
@pytest.mark.parametrize("is_owner_off", [True, False])
def test_a_ttl_and_a_delay_last_as_long_as_they_were_given_for(name: str, by_us: int, is_owner_off: bool) -> None:
    published_by, owned_by = (0, by_us) if is_owner_off else (by_us, 0)
    with publisher(name, published_by) as client:
        lives = client.publish(Job("lives"), ttl=600.0)
        waits = client.publish(Job("waits"), delay=600.0)
        with owner(name, owned_by) as system:
            assert client.state(lives).status == "ready"
            state = system.state(waits)
            assert state.status == "delayed"
            assert state.due is not None
            left_s = state.due.timestamp() - system.clock.now_us() / 1e6
            assert 600.0 - PATIENCE_S < left_s < 601.0


def test_a_ttl_that_has_passed_has_passed_by_whatever_clock(name: str, until: Until) -> None:
    with publisher(name, HOURS_US) as client:
        ended = client.publish(Job("ended"), ttl=0.001)
        with owner(name, 0) as system:
            until(lambda: system.state(ended).status == "expired")


def test_rows_of_older_publishers_and_of_clocks_in_step_are_read_as_they_are(name: str) -> None:
    parsed = PostgresAddress.parse(address(name))
    ingress = Ingress(attrs.evolve(parsed, partition=0))
    clock = Apart(0)
    ingress.add([b"older"])
    ingress.add([b"in step"], clock.wall_us())
    ingress.add([b"apart"], clock.wall_us() - HOURS_US)
    found = {body: later_us for _, body, later_us in ingress.read_timed(0, 10, clock.wall_us)}
    assert found[b"older"] == found[b"in step"] == 0
    assert abs(found[b"apart"] - HOURS_US) < APART_US + PATIENCE_S * 1e6
    shared_server().run(f"DELETE FROM perdure.ingress WHERE queue = '{name}'")
    ingress.close()


def test_the_mark_of_one_publish_does_not_stay_in_its_session(name: str) -> None:
    parsed = PostgresAddress.parse(address(name))
    ingress = Ingress(attrs.evolve(parsed, partition=0))
    ingress.add([b"first"], 1)
    ingress.add([b"second"])  # over the same session: the mark of the first does not stay
    first, second = shared_server().run(f"SELECT ahead_us FROM perdure.ingress WHERE queue = '{name}' ORDER BY id")
    assert first[0] is not None
    assert second == (None,)
    shared_server().run(f"DELETE FROM perdure.ingress WHERE queue = '{name}'")
    ingress.close()
