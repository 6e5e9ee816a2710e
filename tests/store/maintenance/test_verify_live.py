"""Verification beside a live owner that writes, rolls, takes snapshots and drops history; and the comparison with a noted head.

Damage is in `test_verify`.
"""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from perdure.events.errors import HistoryDropped
from perdure.store import FolderReader, History, SegmentStore, Snapshot, open_reader, verify
from perdure.store.disk.disk import Disk
from perdure.store.format import frame as fr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[SegmentStore]:
    store = SegmentStore(tmp_path / "data", segment_bytes=300, history=History("drop"))
    store.open()
    yield store
    store.abandon()


def write(store: SegmentStore, frames: int = 4) -> None:
    """Append, save a snapshot, and drop the history that it makes superfluous."""
    for n in range(1, frames + 1):
        store.append(b"x" * 100, 1, expected_seq=store.last_seq + 1)
        store.sync()
        if not n % 4:
            store.save_snapshot(Snapshot(store.last_seq, b"state"))
            store.retire_history()


class Meanwhile(Disk):
    """The real disk, with an action before the n-th call of any method that reads."""

    def __init__(self, at: int, happens: Callable[[], object]) -> None:
        self.at, self.happens = at, happens
        self.calls = 0

    def _perhaps(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.happens()

    def names(self, folder: Path) -> list[str]:
        self._perhaps()
        return super().names(folder)

    def open_read(self, path: Path) -> BinaryIO:
        self._perhaps()
        return super().open_read(path)

    def size(self, path: Path) -> int:
        self._perhaps()
        return super().size(path)


@pytest.mark.parametrize("rounds", [1, 3, pytest.param(12, marks=pytest.mark.long(seconds=6))])
def test_an_owner_that_drops_history_at_any_moment_of_the_check(owner: SegmentStore, rounds: int) -> None:
    """The owner goes on before each call of the check in turn; no result is damage, and none is an error."""
    for _ in range(4):
        write(owner)
    at = 0
    while True:
        at += 1
        disk = Meanwhile(at, lambda: write(owner, 4 * rounds))
        result = verify(FolderReader(owner.path, disk=disk))
        assert result.findings == [], at
        if disk.calls < at:
            break
        assert result.last_seq >= result.first_seq - 1
    assert at > 15


def test_an_owner_that_writes_all_the_time(owner: SegmentStore) -> None:
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            write(owner)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(40):
            assert verify(open_reader(owner.path)).findings == []
    finally:
        done.set()
        thread.join()


def test_a_frame_that_is_half_written_is_waited_for(tmp_path: Path) -> None:
    """Cut at a page: a reader sees a write of many pages grow."""
    store = SegmentStore(tmp_path / "data")
    store.open()
    body = os.urandom(100_000)
    store.append(body, 1, expected_seq=1)
    (path,) = store.path.glob("*.seg")
    whole = path.read_bytes()
    os.truncate(path, 4096)

    def write_the_rest() -> None:
        with path.open("ab") as file:
            file.write(whole[4096:])

    timer = threading.Timer(0.1, write_the_rest)
    timer.start()
    result = verify(open_reader(store.path))
    timer.join()
    assert (result.findings, result.last_seq) == ([], 1)
    store.abandon()


def test_a_torn_frame_of_a_dead_owner_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SegmentStore(tmp_path / "data")
    store.open()
    store.append(b"x" * 100, 1, expected_seq=1)
    store.abandon()
    (path,) = store.path.glob("*.seg")
    os.truncate(path, path.stat().st_size - 1)
    looks: list[Any] = []
    monkeypatch.setattr("time.sleep", looks.append)
    assert [finding.seq for finding in verify(open_reader(store.path)).findings] == [1]
    assert looks == []


# --- the noted head ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> SegmentStore:
    store = SegmentStore(tmp_path / "log", segment_bytes=300)
    store.open()
    add(store, 9)
    store.close()
    return store


def add(store: SegmentStore, count: int, body: bytes = b"x") -> None:
    for n in range(count):
        store.append(body * 20 + b"%d" % n, 1, expected_seq=store.last_seq + 1)
    store.sync()


def test_a_head_stands_for_history_however_long_the_log_becomes(log: SegmentStore) -> None:
    heads = []
    for _ in range(5):
        result = verify(open_reader(log.path))
        heads.append(result.head)
        for head in heads:
            assert verify(open_reader(log.path), head=head).ok
        log.open()
        add(log, 3)
        log.close()
    assert len(set(heads)) == 5


def test_a_seal_and_a_start_change_no_head(log: SegmentStore) -> None:
    before = verify(open_reader(log.path)).head
    assert before.startswith("9:")
    for _ in range(2):
        log.open()
        log.close()
    assert verify(open_reader(log.path)).head == before
    log.open()
    add(log, 1)
    unsealed = verify(open_reader(log.path)).head
    log.seal()
    assert verify(open_reader(log.path)).head == unsealed
    log.close()


def test_the_hash_of_the_seal_is_a_head_too(log: SegmentStore) -> None:
    """Users noted it before heads had sequence numbers."""
    result = verify(open_reader(log.path))
    assert verify(open_reader(log.path), head=f"{result.last_seq}:{result.chain}").ok


def test_another_history_is_found(log: SegmentStore, tmp_path: Path) -> None:
    """Rewritten from the middle on, with a whole chain of its own."""
    head = verify(open_reader(log.path)).head
    shutil.copytree(log.path, tmp_path / "copy")
    for path in sorted((tmp_path / "copy").glob("*.seg"))[1:]:
        path.unlink()
    forged = SegmentStore(tmp_path / "copy", segment_bytes=300)
    forged.open()
    assert 0 < forged.last_seq < 9
    findings = verify(open_reader(forged.path), head=head).findings
    assert ["the log ends at" in finding.problem for finding in findings] == [True]
    add(forged, 12, b"y")
    forged.close()
    assert verify(open_reader(forged.path)).ok
    findings = verify(open_reader(forged.path), head=head).findings
    assert ["is not what it was" in finding.problem for finding in findings] == [True]
    assert findings[0].seq == 9


def test_the_head_of_an_empty_log(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path)
    store.open()
    head = verify(open_reader(tmp_path)).head
    assert head.startswith("0:")
    add(store, 3)
    assert verify(open_reader(tmp_path), head=head).ok
    assert not verify(open_reader(tmp_path), head="0:" + "0" * 32).ok
    store.close()


def test_a_head_of_dropped_history(owner: SegmentStore) -> None:
    write(owner)
    head = verify(open_reader(owner.path)).head
    for _ in range(4):
        write(owner)
    with pytest.raises(HistoryDropped, match="the head noted at 4 cannot be compared"):
        verify(open_reader(owner.path), head=head)
    assert verify(open_reader(owner.path), head=verify(open_reader(owner.path)).head).ok


def test_a_number_within_a_frame_is_no_head(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path)
    store.open()
    store.append(b"two", 2, expected_seq=1)
    chain = fr.chain_after(b"x").hex()
    assert ["no whole frame ends with 1" in f.problem for f in verify(open_reader(tmp_path), head=f"1:{chain}").findings] == [True]
    store.close()


@pytest.mark.parametrize("head", ["", "9", "9:", "x:" + "0" * 32, "9:" + "0" * 31, "9:" + "g" * 32, "-1:" + "0" * 32, "0" * 32])
def test_what_is_no_head_is_refused(log: SegmentStore, head: str) -> None:
    with pytest.raises(ValueError, match="head: SEQ:HASH"):
        verify(open_reader(log.path), head=head)
