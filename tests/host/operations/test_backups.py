"""`perdure.backup` and `perdure.restore`: beside a live system, to a moment, after a kill, from and to PostgreSQL."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import perdure
from perdure.actors.journal.log_fold import fold_log
from perdure.store import open_reader
from tests.effort import examples
from tests.postgres_server import new_queue, shared_server
from tests.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store import LogReader

PATIENCE_S = 60.0


@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int


@perdure.message(name="Receipt")
@attrs.frozen
class Receipt:
    number: int


def folded(reader: LogReader, until: int | None = None) -> bytes:
    states, _ = fold_log(reader, until)
    return states.encode()


def system_on(folder: Path | str) -> perdure.System:
    system = perdure.System(folder, options=perdure.Options(retries=0))

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        if order.number % 5 == 0:
            raise LookupError(order.number)
        if order.number % 7 == 0:
            ctx.publish(Receipt(order.number))

    @system.handler(Receipt)
    def print_out(receipt: Receipt) -> None:
        pass

    return system


def test_a_backup_beside_a_live_system_is_the_log_up_to_some_moment(folder: Path, tmp_path: Path) -> None:
    done = threading.Event()

    def publish(system: perdure.System) -> None:
        number = 0
        while not done.is_set():
            system.publish_many([Order(number + n) for n in range(10)])
            number += 10

    with system_on(folder) as system:
        publishing = threading.Thread(target=publish, args=(system,))
        publishing.start()
        found = [perdure.backup(folder, tmp_path / "backup") for _ in range(3)]
        done.set()
        publishing.join(PATIENCE_S)
        system.drain(timeout=PATIENCE_S)
    assert found[0].last_seq <= found[1].last_seq <= found[2].last_seq
    assert perdure.Audit(folder).verify(head=found[2].head).ok
    restored = perdure.restore(tmp_path / "backup", tmp_path / "restored")
    assert (restored.last_seq, restored.head) == (found[2].last_seq, found[2].head)
    assert folded(open_reader(tmp_path / "restored")) == folded(open_reader(folder), found[2].last_seq)
    with system_on(tmp_path / "restored") as system:
        assert system.recovery is not None
        assert system.recovery.contradictions == ()
        system.drain(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some history over two runs and two snapshots, and a backup of it that was made in two runs."""
    work = tmp_path_factory.mktemp("backed up")
    for run in range(2):
        with system_on(work / "q") as system:
            for number in range(15):
                system.publish(Order(run * 100 + number), key=str(number % 4) if number % 3 else None)
            if not run:
                system.drain(timeout=PATIENCE_S)
            system.publish({"later": run}, delay=3600)
        perdure.backup(work / "q", work / "backup")
    return work


@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(place=st.floats(0.0, 1.0))
def test_what_is_restored_to_a_commit_folds_as_the_log_up_to_it(backed_up: Path, place: float) -> None:
    source = open_reader(backed_up / "q")
    ends = [frame.last_seq for frame in source.frames()]
    to = ends[round(place * (len(ends) - 1))]
    target = backed_up / f"restored to {to} {time.monotonic_ns()}"
    assert perdure.restore(backed_up / "backup", target, to=to).last_seq == to
    assert folded(open_reader(target)) == folded(source, to)


def test_a_moment_stands_for_the_last_event_that_is_not_later(backed_up: Path) -> None:
    records = [*perdure.Audit(backed_up / "q").events()]
    middle = records[len(records) // 2]
    done = perdure.restore(backed_up / "backup", backed_up / "to a moment", to=middle.at)
    assert perdure.Audit(backed_up / "to a moment").verify().ok
    assert [*perdure.Audit(backed_up / "to a moment").events()] == records[: done.last_seq]
    later = [record for record in records[done.last_seq :] if record.at <= middle.at]
    assert len({record.at for record in later}) <= 1  # of the commit that goes on after that moment, at most


@pytest.mark.parametrize("to", [0, dt.datetime(2020, 1, 1, tzinfo=dt.UTC)])
def test_a_moment_before_everything_is_refused(backed_up: Path, to: perdure.operations.Moment) -> None:
    with pytest.raises(perdure.InvalidMessage, match="nothing had happened then"):
        perdure.restore(backed_up / "backup", backed_up / "never", to=to)
    assert not (backed_up / "never").exists()


def test_a_folder_that_is_no_backup_is_not_restored(backed_up: Path, tmp_path: Path) -> None:
    with pytest.raises(perdure.StoreUnavailable, match="holds no backup"):
        perdure.restore(backed_up / "q", tmp_path / "restored")


BACKS_UP = """
import sys, perdure
print("begun", flush=True)
while True:
    perdure.backup(sys.argv[1], sys.argv[2])
    print("done", flush=True)
"""


def test_a_backup_that_was_killed_is_completed_by_the_next(folder: Path, tmp_path: Path) -> None:
    with system_on(folder) as system:
        for kill in range(3):
            words = ["-c", BACKS_UP, str(folder), str(tmp_path / "backup")]
            child = Program(words, stdout=subprocess.PIPE)
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            for _ in range(kill):
                system.publish_many([Order(n) for n in range(500)])
                assert child.stdout.readline() == "done\n"
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
            done = perdure.backup(folder, tmp_path / "backup")
            assert perdure.Audit(tmp_path / "backup").verify().ok
            assert perdure.Audit(folder).verify(head=done.head).ok


@pytest.mark.xdist_group("postgres")
def test_from_a_database_to_a_backup_and_back_into_one(tmp_path: Path) -> None:
    queue, copy = new_queue().replace(" ", "_"), new_queue().replace(" ", "_")
    store = perdure.PostgresStore(shared_server().dsn, name=queue)
    with perdure.System(store=store) as system:
        for number in range(5):
            system.publish(Order(number))
        address = store.address
        assert perdure.backup(address, tmp_path / "backup").last_seq >= 5
        system.publish(Order(6))
    later = perdure.backup(address, tmp_path / "backup")
    assert perdure.Audit(address).verify().head == later.head
    target = f"{shared_server().dsn}#{copy}/0"
    assert perdure.restore(tmp_path / "backup", target).head == later.head
    assert perdure.Audit(target).verify(head=later.head).ok
    assert folded(open_reader(target)) == folded(open_reader(address))
    perdure.restore(tmp_path / "backup", tmp_path / "folder")
    assert folded(open_reader(tmp_path / "folder")) == folded(open_reader(address))
    with pytest.raises(perdure.StoreUnavailable, match="name a folder for it"):
        perdure.backup(tmp_path / "folder", target)


@pytest.mark.xdist_group("postgres")
def test_a_backup_of_a_live_queue_in_a_database_holds_the_history_that_its_owner_would_drop(tmp_path: Path) -> None:
    queue = new_queue().replace(" ", "_")
    store = perdure.PostgresStore(shared_server().dsn, name=queue, drop_history=True)
    with perdure.System(store=store) as system:

        def publish_and_snapshot(seq: int = 0) -> None:
            if seq < 20:  # of the first ones copied: the copy goes on for as long as the log grows
                system.publish_many([Order(number) for number in range(3)])
                system.admin.snapshot()

        for _ in range(3):
            publish_and_snapshot()
        first_seq = open_reader(store.address).first_seq
        assert first_seq > 1, "it drops what no snapshot needs"
        done = perdure.backup(store.address, tmp_path / "backup", progress=publish_and_snapshot)
        assert done.first_seq == first_seq, "nothing was dropped while it was copied"
        publish_and_snapshot()
        publish_and_snapshot()
        assert open_reader(store.address).first_seq > first_seq, "and it goes on after"
    perdure.restore(tmp_path / "backup", tmp_path / "restored")
    assert perdure.Audit(tmp_path / "restored").verify(head=done.head).ok
    with perdure.System(tmp_path / "restored") as again:
        assert again.admin.metrics().published >= 9
