"""The threads that a store starts: where one cannot be had, the call says so and leaves nothing; a fork takes none along."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from perdure import PostgresStore
from perdure.events.errors import StoreUnavailable
from perdure.store.disk.background_thread import BackgroundThread, NoThread
from perdure.store.files.segment_store import SegmentStore
from perdure.store.postgres.connecting.postgres_address import PostgresAddress
from perdure.store.postgres.traffic import watch
from perdure.store.retention_hold import HOLD_FILE
from tests.postgres_server import new_queue, shared_server
from tests.programs import open_descriptors

if TYPE_CHECKING:
    from pathlib import Path

postgres = pytest.mark.xdist_group("postgres")


def open_files() -> int:
    return len(open_descriptors())


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(thread: BackgroundThread) -> None:
        msg = f"the thread {thread.name} cannot be started"
        raise NoThread(msg)

    monkeypatch.setattr(BackgroundThread, "start", none)


def store_of(name: str) -> PostgresStore:
    return PostgresStore(shared_server().dsn, name=name, partition=0)


@postgres
def test_a_partition_whose_lease_no_thread_can_renew_is_free_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    name = new_queue()
    store = store_of(name)
    store.open()
    store.close()

    def none(thread: BackgroundThread) -> None:
        raise NoThread(thread.name)

    with monkeypatch.context() as patched:
        patched.setattr(BackgroundThread, "start", none)
        before = open_files()
        for _ in range(3):
            with pytest.raises((NoThread, StoreUnavailable)):
                store.open()
            store.abandon()
        assert open_files() <= before
    other = store_of(name)
    other.open()  # StoreLocked, if the partition were still claimed
    other.close()


@postgres
@pytest.mark.usefixtures("no_threads")
def test_a_watch_without_a_thread_leaves_nothing() -> None:
    address = PostgresAddress.parse(f"{shared_server().dsn}")
    before = open_files(), dict(watch._watches)
    with pytest.raises(NoThread):
        watch.watched(address)
    assert (open_files(), watch._watches) == before


@postgres
def test_a_forked_child_waits_for_no_lock_of_its_parent() -> None:
    with watch._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if watch._lock.acquire(timeout=5.0) and not watch._watches else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_forked_child_that_leaves_the_block_holds_its_parents_history_all_the_same(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path)
    store.open()
    store.close()
    with store.separate_reader().hold_history():
        child = os.fork()
        if child != 0:
            assert os.waitpid(child, 0)[1] == 0
            assert (tmp_path / HOLD_FILE).exists()
    if child == 0:
        os._exit(0)
    assert not (tmp_path / HOLD_FILE).exists()
