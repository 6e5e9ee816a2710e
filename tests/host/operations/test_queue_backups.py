"""`perdure.backup` and `perdure.restore` of a whole queue: all logs or none; a run that was cut off is completed by the next."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store import open_reader
from perdure.store.files.folder_copy import FolderCopy
from perdure.store.postgres.postgres_copy import PostgresCopy
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store import Recovered

pytestmark = [pytest.mark.xdist_group("postgres")]

PARTITIONS = 2
KEYS = ["a", "b", "g", "h"]


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


def new_name() -> str:
    return new_queue().replace(" ", "_")


def address_of(name: str) -> str:
    return f"{shared_server().dsn}#{name}"


def handled_of(name: str) -> list[str]:
    """Return what waits in a queue, by handling it."""
    handled: list[str] = []
    with perdure.Cluster(shared_server().dsn, name=name, partitions=PARTITIONS) as cluster:
        cluster.handler(Order)(lambda order: handled.append(order.name))
        cluster.drain(timeout=PATIENCE_S)
    return sorted(handled)


@pytest.fixture
def used() -> str:
    """The name of a queue with messages that wait in each partition."""
    with perdure.Cluster(shared_server().dsn, name=new_name(), partitions=PARTITIONS) as cluster:
        for key in KEYS:
            cluster.publish(Order(key), key=key, id=key)
        assert len({number for number, _ in cluster.audit.events(type="Published")}) == PARTITIONS
    return cluster.name


@pytest.fixture
def backup(used: str, tmp_path: Path) -> Path:
    """A backup of that queue."""
    perdure.backup(address_of(used), tmp_path / "backup")
    return tmp_path / "backup"


def fail_once(monkeypatch: pytest.MonkeyPatch, of: type[FolderCopy | PostgresCopy], at: int) -> None:
    """Have the n-th log, from 0 on, fail to become usable."""
    finish, calls = of.finish, iter(range(100))

    def failing(self: FolderCopy | PostgresCopy) -> Recovered:
        if next(calls) == at:
            raise perdure.StoreUnavailable("no more room")
        return finish(self)  # type: ignore[arg-type]  # of either class

    monkeypatch.setattr(of, "finish", failing)


def test_a_queue_is_backed_up_and_restored_in_code(used: str, tmp_path: Path) -> None:
    reached: list[int] = []
    saved = perdure.backup(address_of(used), tmp_path / "backup", progress=reached.append)
    assert [*saved.partitions] == [0, 1]
    assert saved.events == sum(one.events for one in saved.partitions.values()) == reached[-1]
    assert reached == sorted(reached)
    assert (saved.first_seq, saved.last_seq, saved.head) == (0, 0, "")
    assert perdure.backup(address_of(used), tmp_path / "backup", check=True).events == 0
    name = new_name()
    with pytest.raises(perdure.InvalidMessage, match="give a time"):
        perdure.restore(tmp_path / "backup", address_of(name), to=3)
    restored = perdure.restore(tmp_path / "backup", address_of(name))
    assert {n: one.head for n, one in restored.partitions.items()} == {n: one.head for n, one in saved.partitions.items()}
    assert restored.events == saved.events
    assert handled_of(name) == KEYS
    one = perdure.backup(f"{address_of(used)}/1", tmp_path / "one")
    assert one.partitions == {}
    assert one.head == saved.partitions[1].head


def test_a_restore_of_a_damaged_backup_leaves_nothing_that_can_be_used(backup: Path, tmp_path: Path) -> None:
    segment = next((backup / "1").glob("*.seg*"))
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    name, folder = new_name(), tmp_path / "restored"
    for place in (address_of(name), folder):
        with pytest.raises(perdure.StoreCorrupt):
            perdure.restore(backup, place)
    for number in range(PARTITIONS):
        with pytest.raises(perdure.PerdureError):
            perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name, partition=number)).start()
        with pytest.raises(perdure.PerdureError):
            perdure.System(folder / str(number)).start()
    segment.write_bytes(whole)
    assert [*perdure.restore(backup, folder).partitions] == [0, 1]
    perdure.restore(backup, address_of(name))
    assert handled_of(name) == KEYS


@pytest.mark.parametrize("at", range(PARTITIONS))
@pytest.mark.parametrize("in_database", [True, False])
def test_a_restore_that_is_cut_off_at_its_end_is_completed_by_the_next(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_database: bool, at: int
) -> None:
    name = new_name()
    place = address_of(name) if in_database else str(tmp_path / "restored")
    with monkeypatch.context() as patch:
        fail_once(patch, PostgresCopy if in_database else FolderCopy, at)
        said = (
            "no more room" if at == 0 else f"{at} of 2 logs are restored and can be used, and partition {at} is not: no more room"
        )
        with pytest.raises(perdure.StoreUnavailable, match=said):
            perdure.restore(backup, place)
    done = perdure.restore(backup, place)
    saved = {number: open_reader(backup / str(number)) for number in range(PARTITIONS)}
    for number, one in done.partitions.items():
        verified = perdure.Audit(f"{place}/{number}").verify()
        assert not verified.findings
        assert one.last_seq == one.events == max(frame.last_seq for frame in saved[number].frames())
        assert one.head == f"{one.last_seq}:{one.head.partition(':')[2]}"
    with pytest.raises(perdure.StoreUnavailable, match="there"):
        perdure.restore(backup, place)  # all of it is there: this would be another run, and not the rest of one
    if in_database:
        assert handled_of(name) == KEYS


def test_a_log_that_was_used_meanwhile_is_not_taken_for_a_restored_one(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_once(patch, FolderCopy, 1)
        with pytest.raises(perdure.StoreUnavailable, match="run the same restore again"):
            perdure.restore(backup, tmp_path / "restored")
    with perdure.System(tmp_path / "restored" / "0") as system:
        system.publish(Order("later"))
    with pytest.raises(perdure.StoreUnavailable, match="name another one"):
        perdure.restore(backup, tmp_path / "restored")
    shutil.rmtree(tmp_path / "restored" / "0")
    assert [*perdure.restore(backup, tmp_path / "restored").partitions] == [0, 1]


def test_a_partition_in_which_nothing_had_happened_then_is_restored_empty(tmp_path: Path) -> None:
    began = time.time()
    for number in range(PARTITIONS):
        with perdure.System(tmp_path / "logs" / str(number)) as system:
            system.publish(Order("waits"), id="one")
        perdure.backup(tmp_path / "logs" / str(number), tmp_path / "backup" / str(number))
    first, second = [
        next(iter(perdure.Audit(tmp_path / "logs" / str(number)).events())).at.timestamp() for number in range(PARTITIONS)
    ]
    with pytest.raises(perdure.InvalidMessage, match="nothing had happened then"):
        perdure.restore(tmp_path / "backup", tmp_path / "none", to=began - 60.0)
    done = perdure.restore(tmp_path / "backup", tmp_path / "restored", to=(first + second) / 2)
    assert done.partitions[0].events > 0
    assert (done.partitions[1].events, done.partitions[1].last_seq) == (0, 0)
    with perdure.System(tmp_path / "restored" / "1") as system:
        assert system.publish(Order("new"), id="one") == "one"
        assert system.admin.metrics().published == 1
