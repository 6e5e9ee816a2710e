"""Shared Systems in several processes: one owns the folder, and when it ends, another takes over without losing anything."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.journal.log_fold import fold_log
from perdure.actors.queue.deliveries import Deliveries
from perdure.processes.member import Member
from perdure.store import SegmentStore
from tests.host.processes.clients.test_faults import forked, suspend, wait_until
from tests.host.processes.shop import Nap, Order, Quote, shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from perdure.store import Recovered
    from tests.programs import Program

    Start = Callable[[], Program]


def role_of(system: perdure.System) -> str:
    return system.role


@pytest.fixture
def member(start: Start, folder: Path) -> Iterator[perdure.System]:
    """A member in this process; its owner is `start`'s first process."""
    start()
    with perdure.System(folder, shared=True) as system:
        assert role_of(system) == "member"
        yield system


def test_a_member_does_all_that_an_owner_does(member: perdure.System) -> None:
    kept = member.publish(Order(1), id="one", keep_result=60)
    assert member.call(Quote(21), timeout=20) == 42
    assert len({*member.publish_many([Order(2), Order(3)]), *(member.submit(Order(n)).result(20) for n in range(50))}) == 52
    waiting = member.publish(Order(1), delay=1000)
    assert member.cancel(waiting)
    member.drain(20)
    assert member.result(kept, timeout=20) is None
    assert member.state(kept).status == "completed"
    member.publish(Order(-1))
    member.drain(20)
    (letter,) = member.dead_letters.list()
    member.dead_letters.replay(letter.id, message=Order(1))
    member.admin.pause(Order)
    assert member.admin.handlers()["shop.Order"].paused
    taken = member.publish({"by": "hand"})
    delivery = member.checkout("dict")
    assert delivery is not None
    delivery.ack()
    assert member.state(taken).status == "completed"
    assert member.admin.metrics().completed >= 54
    assert next(record.name for record in member.audit.timeline("one")) == "Published"
    with pytest.raises(perdure.PerdureError, match="owner's process"), member.admin.hold_history():
        pass


@pytest.mark.parametrize("replaced", [False, True])
def test_a_member_does_not_own_another_folder_than_that_of_its_owner(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture, *, replaced: bool
) -> None:
    """It made an empty log under the name of the one that was moved, and took publishes there."""
    owner, moved = start(), folder.with_name("moved")
    with shop(str(folder)) as member:
        assert member.role == "member"
        waiting = member.publish(Order(1), delay=1000)
        folder.rename(moved)
        if replaced:
            folder.mkdir(mode=0o700)
        owner.kill()
        wait_until(lambda: any("was moved, deleted or replaced" in record.getMessage() for record in caplog.records))
        assert not any(folder.glob("*.seg"))
        if replaced:
            folder.rmdir()
        assert not folder.exists()
        moved.rename(folder)
        wait_until(lambda: role_of(member) == "owner")
        assert member.state(waiting).status == "delayed"


def test_a_member_begins_nothing_from_before_until_it_has_read_the_log_as_the_next_owner(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been stopped for long: another process owned the folder meanwhile, and gave to others what it holds."""
    process = start()
    with shop(str(folder)) as system:
        member = system._engine
        assert isinstance(member, Member)
        health, read, heard = member.runtime.health, SegmentStore.open, []

        def is_heard() -> bool:
            return time.monotonic() < health.owner.until_s

        def open_after_a_long_time(store: SegmentStore) -> Recovered:
            heard.append(health.owner is member.connection.exchange.owner)
            health.owner.until_s = 0.0
            return read(store)

        def fold_late(*args: Any, **options: Any) -> Any:
            heard.append(is_heard())
            return fold_log(*args, **options)

        def reconcile_late(*args: Any) -> None:
            heard.append(is_heard())
            reconcile(*args)

        wait_until(is_heard)
        reconcile = Deliveries.reconcile
        monkeypatch.setattr(Deliveries, "reconcile", reconcile_late)
        monkeypatch.setattr(SegmentStore, "open", open_after_a_long_time)
        monkeypatch.setattr("perdure.runtime.engine.fold_log", fold_late)
        process.kill()
        wait_until(lambda: len(heard) == 3)
        assert heard == [True, False, False]
        wait_until(is_heard)
        wait_until(lambda: role_of(system) == "owner")
        system.publish(Order(1), id="after")
        system.drain(20)
        assert system.state("after").status == "completed"


def test_the_workers_of_a_member_that_could_not_take_over_go_on_once_it_can(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were told of the owner that is dead; and what they begin is marked where the next owner looks."""
    process = start()
    with shop(str(folder)) as system:
        member, read = system._engine, SegmentStore.open
        assert isinstance(member, Member)
        marked = member._handlers.descriptors
        system.publish(Order(1))
        system.drain(20)
        workers = {name for name in system.runtime.directory.actors if name.startswith("worker:")}

        def cannot(store: SegmentStore) -> Recovered:
            monkeypatch.setattr(SegmentStore, "open", read)
            msg = "the disk is gone for a moment"
            raise perdure.StoreUnavailable(msg)

        monkeypatch.setattr(SegmentStore, "open", cannot)
        process.kill()
        wait_until(lambda: role_of(system) == "owner" and system.running)
        roles = system._roles
        assert roles is not None
        assert roles.member is not member, "it could not take over at first"
        assert workers <= set(system.runtime.directory.actors)
        assert roles.member._handlers.descriptors == marked
        system.publish(Order(1), id="after")
        system.drain(20)
        assert system.state("after").status == "completed"


def test_what_was_asked_of_an_owner_that_is_killed_is_answered_by_the_member_that_takes_over(start: Start, folder: Path) -> None:
    process = start()
    with shop(str(folder)) as member:
        assert role_of(member) == "member"
        waited = member.publish(Quote(3), delay=1, keep_result=600)
        results: list[object] = []
        waiter = threading.Thread(target=lambda: results.append(member.result(waited, timeout=30)))
        waiter.start()
        suspend(process.pid)
        futures = [member.submit(Order(n)) for n in range(300)]
        process.kill()
        ids = [future.result(30) for future in futures]
        assert role_of(member) == "owner"
        waiter.join(30)
        assert results == [6], "the wait went on here"
        assert member.call(Quote(2), timeout=20) == 4
        member.drain(30)
        assert len(set(ids)) == 300
        assert member.admin.metrics().published == 302
        assert member.recovery is not None


def test_clients_go_on_with_the_member_that_takes_over(start: Start, folder: Path) -> None:
    process = start()
    with shop(str(folder)) as member, perdure.connect(folder) as client:
        client.publish(Order(1))
        process.kill()
        assert client.call(Quote(4), timeout=20) == 8
        assert role_of(member) == "owner"


@pytest.mark.long(seconds=3)
def test_of_several_members_one_takes_over_and_the_others_go_on_with_it(start: Start, folder: Path) -> None:
    first = start()
    others = [start() for _ in range(3)]
    with perdure.System(folder, shared=True, ownership="never") as member:
        for dead in (first, *others[:2]):
            member.publish(Order(1))
            dead.kill()
            dead.wait()
            assert member.call(Quote(1), timeout=20) == 2, "the next one owns it"
            if dead is first:
                continue
        assert role_of(member) == "member"


def test_a_member_of_a_stopped_owner_waits_and_goes_on_with_it(start: Start, folder: Path) -> None:
    process = start()
    with shop(str(folder)) as member:
        member.publish(Order(1))
        suspend(process.pid)
        future = member.submit(Order(2))
        with pytest.raises(TimeoutError):
            future.result(0.5)
        assert role_of(member) == "member", "the lock is the stopped process's"
        os.kill(process.pid, signal.SIGCONT)
        assert future.result(20)
        assert role_of(member) == "member"
        assert member.admin.metrics().published == 2


def test_a_deploy_starts_the_new_process_before_the_old_one_stops(start: Start, folder: Path) -> None:
    told: list[str] = []
    failed: list[BaseException] = []
    done = threading.Event()
    with shop(str(folder)) as old, perdure.connect(folder) as client:

        def publish() -> None:
            try:
                while not done.is_set():
                    told.append(client.publish(Order(1)))
            except BaseException as error:  # noqa: BLE001 - a publisher must see no error at all
                failed.append(error)

        publisher = threading.Thread(target=publish)
        publisher.start()
        new = start()
        old.stop()
        before = len(told)
        wait_until(lambda: len(told) > before + 20 or failed)
        done.set()
        publisher.join(20)
        assert not failed
        assert new.poll() is None
        client.drain(30)
        assert client.admin.metrics().published == len(told) == len(set(told))


def test_a_member_alone_may_not_own_the_folder_where_it_was_told_never_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.processes.roles.OWNER_WAIT_S", 0.3)
    system = perdure.System(folder, shared=True, ownership="never")
    with pytest.raises(perdure.NotRunning, match="no process owns"):
        system.start()
    with pytest.raises(perdure.NotRunning):
        system.publish(Order(1))
    with pytest.raises(perdure.InvalidMessage, match="ownership"):
        perdure.System(folder, shared=True, ownership="now")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match="shared"):
        perdure.System(folder, ownership="never")


def test_an_owner_that_shares_nothing_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    monkeypatch.setattr("perdure.processes.roles.OWNER_WAIT_S", 0.3)
    process = start()
    (folder / "owner.sock").unlink()
    with pytest.raises(perdure.StoreLocked, match=f"process {process.pid} .*shared=True"):
        perdure.System(folder, shared=True).start()


def test_what_a_client_has_checked_out_stays_its_own_when_another_process_takes_over(start: Start, folder: Path) -> None:
    process = start()
    with shop(str(folder)) as member, perdure.connect(folder) as client:
        client.publish({"by": "hand"}, id="one")
        delivery = client.checkout("dict")
        assert delivery is not None
        process.kill()
        delivery.heartbeat(50)
        wait_until(lambda: role_of(member) == "owner")
        assert member.state("one").status == "leased"
        delivery.ack()
        assert member.state("one").status == "completed"


def test_what_a_dead_owner_had_begun_is_an_attempt_once_no_process_has_said_that_it_has_it(start: Start, folder: Path) -> None:
    process = start()
    with perdure.System(folder, shared=True) as member:
        ident = member.publish(Nap(600.0))
        wait_until(lambda: member.state(ident).status == "leased")
        process.kill()
        wait_until(lambda: role_of(member) == "owner")
        assert member.state(ident).status == "leased", "it may be with a process that lives"
        wait_until(lambda: member.state(ident).status == "ready")
        assert member.audit.timeline(ident)[-1].name == "LeaseExpired"


def test_what_a_dead_owner_had_begun_that_no_process_ever_joined_is_taken_back_at_once(start: Start, folder: Path) -> None:
    process = start()
    with perdure.connect(folder) as client:
        ident = client.publish(Nap(600.0))
        wait_until(lambda: client.state(ident).status == "leased")
    process.kill()
    process.wait()
    with perdure.System(folder, shared=True) as owner:
        assert owner.recovery is not None
        assert owner.recovery.in_flight_taken_back == 1
        assert owner.state(ident).status == "ready"


def test_that_a_process_has_joined_is_known_until_all_that_it_could_hold_is_settled(start: Start, folder: Path) -> None:
    process = start()
    with perdure.System(folder, shared=True) as member:
        assert (folder / "owner.members").exists()
        ident = member.publish(Nap(600.0))
        wait_until(lambda: member.state(ident).status == "leased")
    process.kill()
    process.wait()
    with perdure.System(folder, shared=True) as owner:
        assert owner.state(ident).status == "leased"
        wait_until(lambda: owner.state(ident).status == "ready")
        wait_until(lambda: not (folder / "owner.members").exists())


def test_a_forked_child_of_a_member_keeps_none_of_its_connection_and_can_join_by_itself(member: perdure.System) -> None:
    before = member.publish(Order(1))

    def child() -> None:
        with pytest.raises(perdure.NotRunning, match="forked"):
            member.publish(Order(2))
        member.start()
        assert role_of(member) == "member"
        assert member.publish(Order(3)) != before
        member.stop()

    assert forked(child) == 0
    assert member.publish(Order(4))
    assert member.admin.metrics().published == 3
