"""A client in simulation that spools: owners die as they take its files in, files are damaged, and bounds are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure.chaos.disk.memory_disk import Fault, Killed
from perdure.chaos.oracle.history_checks import check_history
from perdure.chaos.oracle.reference_model import BrokenContract, ReferenceModel
from perdure.chaos.scenarios.messages import Manual, Note, Plain, Task
from perdure.chaos.scenarios.plan import draw
from perdure.chaos.scenarios.processes.other_processes import SPOOLER
from perdure.chaos.scenarios.processes.spools import SpoolerDied
from perdure.chaos.scenarios.simulated_bounds import simulated_bounds
from perdure.chaos.scenarios.steps.spooling import SPOOL_STEPS
from perdure.chaos.scenarios.system_under_test import SystemUnderTest
from perdure.events.errors import DuplicateKey, PublishTimeout, QueueFull
from perdure.events.queue.admission import spooled
from perdure.events.vocabulary import DeadLettered, Published
from perdure.processes.to_owner.held_publishes import SPOOL_HELD_S
from perdure.store.spool import spool_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

PROCESS = {"snapshot_events": 1_000_000, "segment_bytes": 16_384, "workers": 1, "prefetch_ms": 0.0, "history": "keep"}


class House(SystemUnderTest):
    """An owner, and a client that spools."""

    def __init__(self) -> None:
        super().__init__(1, [{**PROCESS, "with_others": True, "roles": True, "relays": False, "spools": True}])
        self.start()
        self.futures: dict[str, Future[str]] = {}

    def lose_owner(self) -> None:
        self.others.lose_owner()
        self.executor.forget_all()

    def submit(self, kind: type[Any] = Plain, how: str = "done", **options: Any) -> str:
        content, ident = self.publisher_log.new_message(kind, how, options)

        def submit() -> Future[str]:
            return self.futures.setdefault(ident, self.front.submit(content, id=ident, **options))

        with self.through(SPOOLER):
            self.publisher_log.submit(ident, submit)
        return ident

    def wait(self, seconds: float = 1.0) -> None:
        self.executor.run_until(lambda: False, seconds)

    def recorded(self, ident: str) -> int:
        return sum(record.message_id == ident for record in self.system.audit.events(type=Published))


@pytest.fixture
def house() -> Iterator[House]:
    with simulated_bounds(small=False, spools=True):
        house = House()
        yield house
        assert house.violations == []
        house.lose_power()
        house.restart(5.0)
        house.system.advance(120.0)
        while (delivery := house.system.checkout(Manual, lease=1000.0)) is not None:
            delivery.ack()
        check_history(house.history())
        house.spools.check_kept()
        house.system.stop()
        house.database.end()


def test_what_is_spooled_before_any_owner_was_known_comes_under_its_handlers_policy(house: House) -> None:
    house.lose_owner()
    ident = house.submit(Note, key="k0")
    named = house.submit(Note, key="k1", dedup="reject")
    house.wait()
    house.start_successor(house.disk)
    recorded: dict[str | None, Any] = {record.message_id: record.event for record in house.system.audit.events(type=Published)}
    assert (recorded[ident].dedup, recorded[ident].extras.key_parallelism) == ("append", 1)
    assert (recorded[named].dedup, recorded[named].extras) == ("reject", None)  # what was named is kept


@pytest.mark.parametrize("points", range(1, 37, 5))
def test_owners_that_die_as_they_take_a_spool_in_leave_each_message_once(house: House, points: int) -> None:
    house.lose_owner()
    idents = [house.submit() for _ in range(3)]
    house.wait()
    assert [house.futures[ident].result(0) for ident in idents] == idents
    for later in (points, points + 3):
        with pytest.raises(Killed):
            house.start_successor(house.disk, dies_in=later)
    house.start_successor(house.disk)
    assert house.spools.left() == 0
    assert [house.recorded(ident) for ident in idents] == [1, 1, 1]


def test_what_was_spooled_is_on_record_before_a_handler_begins(house: House) -> None:
    house.submit(how="slow:5")
    house.wait(1.0)
    house.lose_owner()
    ident = house.submit()
    house.wait()
    house.start_successor(house.disk)
    assert house.handler_log.spooled <= {ident}
    assert house.recorded(ident) == 1


def test_a_handler_that_begins_before_that_is_a_violation(house: House) -> None:
    house.handler_log.spooled = {"never taken in"}
    house.submit()
    house.wait()
    assert "before ['never taken in'] was taken in" in house.violations.pop()


def test_what_is_refused_as_it_is_taken_in_is_a_dead_letter_with_the_reason(house: House) -> None:
    house.submit(Manual, key="k")
    house.wait()
    house.lose_owner()
    ident = house.submit(Manual, key="k", dedup="reject")
    house.wait()
    assert house.futures[ident].result(0) == ident
    house.start_successor(house.disk)
    (letter,) = house.dead_letters()
    assert letter.id == ident
    assert "refused when it was taken in from the spool" in letter.reason
    assert letter.exception == "perdure.DuplicateKey"


def test_a_refusal_without_its_cause_breaks_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise DuplicateKey("as it pleases", "no message")

    monkeypatch.setattr(spooled, "accept", refuse)
    house = House()
    house.lose_owner()
    house.submit(Task, key="k")
    house.wait()
    house.start_successor(house.disk)
    model = ReferenceModel()
    events = [(at_us, event) for _, _, at_us, event in house.system.recording.recorded_events()]
    (refused,) = [one for one in events if isinstance(one[1], DeadLettered)]
    for one in events[: events.index(refused)]:
        model.take(*one)
    with pytest.raises(BrokenContract, match="though its key was free"):
        model.take(*refused)


@pytest.mark.parametrize("trouble", ["torn", "flipped"])
def test_damage_takes_no_record_but_its_own(house: House, trouble: str) -> None:
    house.lose_owner()
    idents = []
    for _ in range(3):  # one record each
        idents.append(house.submit())
        house.wait(0.5)
    house.kill_client(SPOOLER)
    assert house.spools.tear(0, 50) if trouble == "torn" else house.spools.flip(0, 1)
    house.start_successor(house.disk)
    assert [house.recorded(ident) for ident in idents] == [trouble == "torn", 1, 1]
    assert any(name.endswith(".damaged") for name in house.disk.contents()) == (trouble == "flipped")


def test_a_file_whose_writer_died_in_its_header_has_nothing_to_tear(house: House) -> None:
    house.lose_owner()
    house.spools.dies_in = 2  # it has made the file
    house.submit()
    with pytest.raises(SpoolerDied):
        house.wait()
    house.kill_client(SPOOLER)
    house.spools.dies_in = 0
    assert house.spools.left() == 1
    assert not house.spools.tear(0, 50)
    house.start_successor(house.disk)


@pytest.mark.parametrize("operations", range(1, 9))
def test_a_client_that_dies_as_it_spools_leaves_what_it_had_acknowledged(house: House, operations: int) -> None:
    house.lose_owner()
    first = house.submit()
    house.wait()
    house.spools.dies_in = operations
    house.submit()
    try:
        house.wait()
    except SpoolerDied:
        house.kill_client(SPOOLER)
    house.spools.dies_in = 0
    house.start_successor(house.disk)
    assert house.recorded(first) == 1


def test_a_full_spool_refuses_and_nothing_of_it_is_on_record(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "FOLDER_BYTES_MAX", 300)
    monkeypatch.setattr(spool_file, "FILE_BYTES_MAX", 100)
    house.lose_owner()
    idents = []
    for _ in range(6):
        idents.append(house.submit())
        house.wait(0.5)
    errors = [house.futures[ident].exception(0) for ident in idents]
    assert errors[0] is None
    assert isinstance(errors[-1], QueueFull)
    house.start_successor(house.disk)
    assert [house.recorded(ident) for ident in idents] == [error is None for error in errors]


def test_a_client_begins_another_file_while_an_owner_without_room_reads_the_first(house: House) -> None:
    for _ in range(60):
        house.submit(Manual)
    house.wait()
    house.lose_owner()
    idents = [house.submit(Manual)]
    house.wait()
    house.start_successor(house.disk)
    assert house.spools.left() == 1, "there is no room, and the owner keeps its claim"
    house.others.client(SPOOLER).connection.hang("owner", 8.0)
    idents.append(house.submit(Manual))
    house.wait(6.0)
    assert house.spools.left() == 2
    house.end_faults()
    while (delivery := house.system.checkout(Manual, lease=1000.0)) is not None:
        delivery.ack()
    house.wait(120.0)
    while (delivery := house.system.checkout(Manual, lease=1000.0)) is not None:
        delivery.ack()
    assert house.spools.left() == 0
    assert [house.recorded(ident) for ident in idents] == [1, 1]


@pytest.mark.parametrize("hangs_s", [1.0, 1.5, 2.0])
def test_what_is_spooled_beside_a_stopped_owner_that_never_welcomed_is_not_overtaken(house: House, hangs_s: float) -> None:
    connection = house.others.client(SPOOLER).connection
    connection.hang("owner", hangs_s)
    house.wait(0.5)
    spooled = house.submit()
    house.wait(hangs_s - 0.6)
    assert house.futures[spooled].result(0) == spooled
    assert not connection.welcomed.is_set()
    house.executor.run_until(connection.welcomed.is_set, 1.0)
    assert house.spools.left() == 1
    following = [house.submit() for _ in range(3)]
    house.wait(0.2)
    assert [house.futures[ident].done() for ident in following] == [True] * 3, "the owner looks as soon as it is told"
    published = house.system.recording.published
    assert [published[ident] for ident in (spooled, *following)] == sorted(published[ident] for ident in (spooled, *following))
    assert not connection.faults.were_overtaken


def test_what_is_spooled_beside_a_silent_owner_is_not_overtaken_once_it_goes_on(house: House) -> None:
    connection = house.others.client(SPOOLER).connection
    house.submit()
    house.wait()
    connection.hang("owner", 6.0)
    idents = []
    for _ in range(7):
        idents.append(house.submit())
        house.wait()
    assert all(house.futures[ident].done() for ident in idents)
    assert house.spools.left() == 0
    published = house.system.recording.published
    assert [published[ident] for ident in idents] == sorted(published[ident] for ident in idents)
    assert not connection.faults.were_overtaken


def test_what_finds_no_room_is_waited_for_a_while_and_overtaken_then(house: House) -> None:
    for _ in range(60):
        house.submit(Manual)
    house.wait()
    house.lose_owner()
    spooled = house.submit(Manual)
    house.wait()
    house.start_successor(house.disk)
    house.submit(Manual)
    house.wait(SPOOL_HELD_S - 0.5)
    connection = house.others.client(SPOOLER).connection
    assert len(connection.exchange.held) == 1
    house.wait(1.0)
    assert len(connection.exchange.held) == 0
    assert connection.faults.were_overtaken
    assert house.recorded(spooled) == 0
    while (delivery := house.system.checkout(Manual, lease=1000.0)) is not None:
        delivery.ack()
    house.wait(120.0)
    assert house.recorded(spooled) == 1


def test_what_is_spooled_without_an_owner_must_not_be_overtaken(house: House) -> None:
    house.lose_owner()
    connection = house.others.client(SPOOLER).connection
    connection.hang("owner", 2.0)
    house.wait(0.5)
    spooled = house.submit()
    house.wait()
    assert house.spools.left() == 1
    house.start_successor(house.disk)
    assert house.recorded(spooled) == 1
    house.wait(5.0)
    house.submit()
    house.wait()
    assert not connection.faults.were_overtaken


def test_a_sync_that_fails_leaves_a_publish_in_doubt(house: House) -> None:
    house.lose_owner()
    first = house.submit()
    house.wait()
    house.disk.faults = [Fault(1, only="sync")]
    ident = house.submit()
    house.wait()
    assert isinstance(house.futures[ident].exception(0), PublishTimeout)
    house.start_successor(house.disk)
    assert house.recorded(first) == 1


def test_steps_of_a_spool_are_drawn_apart() -> None:
    for seed in range(40):
        without, with_them = (draw(seed, clients=True, roles=True, spool=spool) for spool in (False, True))
        assert [step for step in with_them.steps if step.do not in SPOOL_STEPS] == without.steps
        assert any(step.do in SPOOL_STEPS for step in with_them.steps)
        assert all(settings["spools"] for settings in with_them.processes)
        assert not any("spools" in settings for settings in without.processes)
