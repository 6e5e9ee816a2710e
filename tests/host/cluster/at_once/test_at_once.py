"""Questions and acts for many partitions are asked of several at the same time: bounds, order, errors of each, interruptions."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

import psycopg
import pytest

import perdure
from perdure.arguments.acting import acting_as, acting_principal
from perdure.cluster.acts.at_once import AT_ONCE, ask_each, in_words
from perdure.cluster.partition_access import home_of
from perdure.events.errors import StoreUnavailable
from perdure.events.queue.lookup import Lookup
from tests.host.cluster.accounts import Order
from tests.postgres_server import PATIENCE_S, Server, check_installed, new_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.commands import LookUp

MANY = 2 * AT_ONCE + 8


class Partitions:
    """Answers once so many are asked at the same time as may be: fewer would wait for ever, more are counted."""

    def __init__(self, together: int) -> None:
        self._barrier = threading.Barrier(together)
        self._lock = threading.Lock()
        self._asked = 0
        self.most = 0

    def __call__(self, number: int) -> int:
        with self._lock:
            self._asked += 1
            self.most = max(self.most, self._asked)
        self._barrier.wait(PATIENCE_S)
        with self._lock:
            self._asked -= 1
        return number * number


def test_as_many_are_asked_at_the_same_time_as_are_allowed_and_answers_are_in_order() -> None:
    partitions = Partitions(AT_ONCE)
    numbers = [*reversed(range(3 * AT_ONCE))]
    assert [*ask_each(numbers, partitions).items()] == [(number, number * number) for number in numbers]
    assert partitions.most == AT_ONCE


def test_each_is_asked_as_the_principal_that_asks() -> None:
    with acting_as("ann"):
        assert {*ask_each(range(MANY), lambda _: acting_principal()).values()} == {"ann"}


def test_an_error_tells_its_partition_and_those_of_others_and_ends_a_question() -> None:
    begun: list[int] = []
    partitions = Partitions(4)

    def fails(number: int) -> int:
        begun.append(number)
        partitions(number)
        if number in (1, 3):
            raise StoreUnavailable(f"no {number}")
        return number

    with pytest.raises(StoreUnavailable, match="no 1") as refused:
        ask_each(range(100), fails, at_once=4)
    assert refused.value.__notes__ == ["in partition 1", "in partition 3: StoreUnavailable: no 3"]
    assert len(begun) < 100


def test_an_act_goes_on_where_it_can_and_says_where_it_has() -> None:
    def act(number: int) -> None:
        if number in (2, 3, 50):
            raise StoreUnavailable(f"no {number}")

    with pytest.raises(StoreUnavailable, match="no 2") as refused:
        ask_each(range(100), act, is_act=True)
    first, *others = refused.value.__notes__
    assert first == "in partition 2. These partitions have done it, or go on with it: 0 to 1, 4 to 49, 51 to 99"
    assert others == [f"in partition {number}: StoreUnavailable: no {number}" for number in (3, 50)]


def test_an_act_that_fails_everywhere_does_not_go_on_for_ever() -> None:
    begun: list[int] = []

    def act(number: int) -> None:
        begun.append(number)
        raise StoreUnavailable("no database")

    with pytest.raises(StoreUnavailable) as refused:
        ask_each(range(1000), act, is_act=True)
    assert len(begun) <= 2 * AT_ONCE
    assert refused.value.__notes__[0].endswith("go on with it: none")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_an_exception_in_a_thread_has_interrupted_is_asked_again() -> None:
    here = threading.current_thread()
    was_hit = threading.Event()

    def answer(number: int) -> int:
        if threading.current_thread() is not here and not was_hit.is_set():
            was_hit.set()
            raise SystemExit
        if threading.current_thread() is here:
            assert was_hit.wait(PATIENCE_S)
        return number

    assert ask_each(range(10), answer) == {number: number for number in range(10)}


def test_an_interrupted_call_returns_at_once_and_asks_no_further_partition() -> None:
    begun: list[int] = []
    let_go = threading.Event()
    here = threading.current_thread()

    def answer(number: int) -> None:
        begun.append(number)
        if threading.current_thread() is here:
            raise KeyboardInterrupt
        assert let_go.wait(PATIENCE_S)

    with pytest.raises(KeyboardInterrupt):
        ask_each(range(100), answer, at_once=4)
    let_go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("perdure-asking"):
            thread.join(PATIENCE_S)
    assert len(begun) <= 4


@pytest.mark.parametrize("home", [0, 7, 30])
def test_a_message_is_found_where_it_is_also_when_another_partition_cannot_be_reached(home: int) -> None:
    def look_up(number: int, _: LookUp) -> Lookup:
        if number == home:
            return Lookup("completed")
        if number == 31:
            raise StoreUnavailable("no database")
        return Lookup("unknown")

    assert home_of("of-the-host", 32, look_up) == home


def test_numbers_are_written_as_people_write_them() -> None:
    assert in_words([5, 1, 2, 3, 9]) == "1 to 3, 5, 9"
    assert in_words([]) == "none"


@pytest.fixture
def server() -> Iterator[Server]:
    check_installed()
    made = Server(max_connections="150")
    made.start()
    yield made
    made.remove()


class Sessions:
    """Watches how many sessions of the database ask owners at the same time."""

    def __init__(self, server: Server) -> None:
        self.most = 0
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def now(self) -> int:
        with psycopg.connect(self._server.dsn, autocommit=True) as connection:
            return self._count(connection)

    def _count(self, connection: psycopg.Connection[tuple[int]]) -> int:
        asking = "query ~ 'open_channel|perdure.speak|leave_channel|LISTEN perdure_' AND pid <> pg_backend_pid()"
        row = connection.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {asking}".encode()).fetchone()
        assert row is not None
        return int(row[0])

    def _watch(self) -> None:
        with psycopg.connect(self._server.dsn, autocommit=True) as connection:
            while not self._is_over.wait(0.002):
                self.most = max(self.most, self._count(connection))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


@pytest.mark.xdist_group("postgres")
def test_sums_over_many_partitions_of_another_process_take_a_bounded_number_of_sessions(server: Server) -> None:
    name = new_queue()
    owner = perdure.Cluster(server.dsn, name=name, partitions=MANY)

    @owner.handler(Order)
    def handle(order: Order) -> None:
        pass

    with owner, perdure.Cluster(server.dsn, name=name, partitions=MANY, ownership="never") as asking:
        asking.publish_many([Order(str(n)) for n in range(50)], keys=[str(n) for n in range(50)])
        with Sessions(server) as sessions:
            asking.drain(timeout=PATIENCE_S)
            assert asking.admin.metrics().completed == 50
            assert asking.dead_letters.stats().total == 0
            assert not asking.state("unknown").known
            asking.admin.pause()
            assert all(owner.partition(n).admin.handlers()["order"].paused for n in range(MANY))
        assert 1 < sessions.most <= AT_ONCE + 8  # with some that the server is about to end
        until_s = time.monotonic() + 5.0
        while sessions.now() and time.monotonic() < until_s:
            time.sleep(0.02)
        assert sessions.now() == 0
