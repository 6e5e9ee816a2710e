"""Verification finds any byte or frame that was changed, removed or swapped, and nothing in a whole folder.

What the owner does about damage is in `test_torn_and_rotten`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

import pytest

from perdure.events.errors import StoreUnavailable
from perdure.store import FolderReader, SegmentStore, Snapshot, open_reader, verify
from perdure.store.disk.disk import Disk
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three segments of a few frames each, two snapshots, closed in good order."""
    store = SegmentStore(tmp_path / "data", segment_bytes=300)
    store.open()
    for n in range(9):
        store.append(b"%d" % n * 20, 2, expected_seq=store.last_seq + 1)
    store.save_snapshot(Snapshot(4, b"older"))
    store.save_snapshot(Snapshot(9, b"newer" * 40))
    store.close()
    return tmp_path / "data"


def parts(path: Path) -> list[bytes]:
    """Cut a segment into its header and its frames."""
    data = path.read_bytes()
    found, at = [data[: sg.HEADER_BYTES]], sg.HEADER_BYTES
    while at < len(data):
        size = fr.HEADER_BYTES + fr.parse(data[at : at + fr.HEADER_BYTES]).stored_len
        found.append(data[at : at + size])
        at += size
    return found


def log_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.seg"))


def test_a_whole_folder_is_found_whole(folder: Path) -> None:
    """Scenario 47."""
    progress: list[int] = []
    result = verify(open_reader(folder), progress=progress.append)
    assert result.ok
    assert result.findings == []
    assert (result.segments, result.snapshots, result.events, result.last_seq) == (3, 2, 18, 18)
    assert result.frames == sum(1 for _ in FolderReader(folder).frames()) + 1  # and the seal
    assert result.bytes == sum(path.stat().st_size for path in folder.iterdir() if path.name != "owner.lock")
    assert result.chain == fr.chain_after(parts(log_files(folder)[-1])[-1]).hex()
    assert progress == sorted(progress)
    assert progress[-1] <= result.bytes


@pytest.mark.long(seconds=5)
def test_every_single_changed_byte_is_found(folder: Path) -> None:
    """Scenario 47."""
    for path in [*log_files(folder), *folder.glob("*.snap")]:
        data = path.read_bytes()
        for offset in range(len(data)):
            changed = bytearray(data)
            changed[offset] ^= 1 << offset % 8
            path.write_bytes(changed)
            findings = verify(open_reader(folder)).findings
            assert any(finding.file == path.name for finding in findings), (path.name, offset)
        path.write_bytes(data)
    assert verify(open_reader(folder)).ok


@pytest.mark.long(seconds=2)
def test_every_single_removed_or_added_byte_is_found(folder: Path) -> None:
    """Scenario 47."""
    for path in [*log_files(folder), *folder.glob("*.snap")]:
        data = path.read_bytes()
        for offset in range(0, len(data), 7):
            path.write_bytes(data[:offset] + data[offset + 1 :])
            assert not verify(open_reader(folder)).ok, (path.name, offset)
            path.write_bytes(data[:offset] + b"\0" + data[offset:])
            assert not verify(open_reader(folder)).ok, (path.name, offset)
        path.write_bytes(data + b"\0")
        assert not verify(open_reader(folder)).ok, path.name
        path.write_bytes(data)
    assert verify(open_reader(folder)).ok


def test_every_removed_doubled_or_swapped_frame_is_found(folder: Path) -> None:
    """Scenario 47: each frame is whole by itself. Only the seal at the very end may be missing, because it holds nothing."""
    for path in log_files(folder):
        whole = parts(path)
        for i in range(1, len(whole)):
            is_end = path == log_files(folder)[-1] and i == len(whole) - 1
            path.write_bytes(b"".join(whole[:i] + whole[i + 1 :]))
            assert verify(open_reader(folder)).ok == is_end, (path.name, "removed", i)
            path.write_bytes(b"".join([*whole[:i], whole[i], *whole[i:]]))
            assert not verify(open_reader(folder)).ok, (path.name, "doubled", i)
            for j in range(i + 1, len(whole)):
                swapped = list(whole)
                swapped[i], swapped[j] = whole[j], whole[i]
                path.write_bytes(b"".join(swapped))
                assert not verify(open_reader(folder)).ok, (path.name, "swapped", i, j)
        path.write_bytes(b"".join(whole))
    assert verify(open_reader(folder)).ok


def test_history_rewritten_with_good_checksums_is_found(folder: Path) -> None:
    """Scenario 47: an editor of a frame can compute its checksum, but not without changing the chain after it."""
    path = log_files(folder)[0]
    whole = parts(path)
    header = fr.parse(whole[1][: fr.HEADER_BYTES])
    store_id = sg.read_header(FolderReader(folder).disk, path).store_id
    forged, _ = fr.pack(
        body=b"forged" * 2,
        count=header.count,
        first_seq=header.first_seq,
        epoch=header.epoch,
        unsynced=header.unsynced,
        prev=header.prev,
        crc_seed=fr.seed(store_id),
    )
    path.write_bytes(b"".join([whole[0], forged, *whole[2:]]))
    findings = verify(open_reader(folder)).findings
    assert findings[0].file == path.name
    assert findings[0].offset == sg.HEADER_BYTES + len(forged)
    assert findings[0].seq == header.last_seq + 1


def test_missing_and_swapped_files_are_found(folder: Path) -> None:
    """Scenario 47."""
    first, second, third = log_files(folder)
    aside = folder.parent / "aside"
    second.rename(aside)
    assert any(
        f"the next segment begins with {sg.first_seq_of(third.name)}" in f.problem for f in verify(open_reader(folder)).findings
    )
    third.rename(second)
    aside.rename(third)
    assert {finding.file for finding in verify(open_reader(folder)).findings} >= {second.name, third.name}
    second.rename(aside)
    third.rename(second)
    aside.rename(third)
    assert verify(open_reader(folder)).ok
    for snapshot in folder.glob("*.snap"):
        snapshot.unlink()
    first.rename(aside)
    assert any("no snapshot holds what was before" in finding.problem for finding in verify(open_reader(folder)).findings)


def test_a_snapshot_ahead_of_the_log_is_found(folder: Path) -> None:
    """Scenario 47: the whole end of the log was removed, which no checksum can show."""
    store = SegmentStore(folder)
    store.open()
    store.save_snapshot(Snapshot(18, b"newest"))
    store.close()
    log_files(folder)[-1].unlink()
    findings = verify(open_reader(folder)).findings
    assert ["ahead of the log" in finding.problem for finding in findings] == [True]


def test_a_segment_of_another_store_is_found(folder: Path) -> None:
    """Scenario 47."""
    other = SegmentStore(folder.parent / "other", segment_bytes=300)
    other.open()
    for n in range(9):
        other.append(b"%d" % n * 20, 2, expected_seq=other.last_seq + 1)
    other.close()
    name = log_files(folder)[1].name
    (folder / name).write_bytes((folder.parent / "other" / name).read_bytes())
    assert any(finding.file == name for finding in verify(open_reader(folder)).findings)


def test_a_newer_format_is_a_finding(folder: Path) -> None:
    path = log_files(folder)[-1]
    data = bytearray(path.read_bytes())
    data[8] += 1
    path.write_bytes(data)
    assert ["Upgrade perdure" in finding.problem for finding in verify(open_reader(folder)).findings] == [True]


def test_a_folder_without_a_log_is_a_finding_and_no_folder_an_error(tmp_path: Path) -> None:
    assert [finding.problem for finding in verify(open_reader(tmp_path)).findings] == ["there is no log"]
    with pytest.raises(StoreUnavailable):
        verify(open_reader(tmp_path / "nothing"))
    assert list(tmp_path.iterdir()) == []


NOTHING: dict[int, Callable[[], object]] = {}


class Busy(Disk):
    """The real disk, with an action of the owner before or after the n-th time a segment's size is read."""

    def __init__(
        self, *, before: dict[int, Callable[[], object]] = NOTHING, after: dict[int, Callable[[], object]] = NOTHING
    ) -> None:
        self.before, self.after = before, after
        self.looks = 0

    def size(self, path: Path) -> int:
        if path.suffix != ".seg":
            return super().size(path)
        self.looks += 1
        self.before.get(self.looks, lambda: None)()
        size = super().size(path)
        self.after.get(self.looks, lambda: None)()
        return size


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[SegmentStore]:
    store = SegmentStore(tmp_path / "live")
    store.open()
    store.append(b"first", 1, expected_seq=1)
    yield store
    store.abandon()


def test_what_a_live_owner_adds_meanwhile_is_no_finding(owner: SegmentStore) -> None:
    """Scenario 46: a frame that was not there when the size was read, and is when the file is read."""
    result = verify(FolderReader(owner.path, disk=Busy(after={1: lambda: owner.append(b"second", 1, expected_seq=2)})))
    assert (result.findings, result.last_seq) == ([], 2)
    assert result.bytes == log_files(owner.path)[0].stat().st_size


@pytest.mark.parametrize("ends", ["is written", "is cut off"])
def test_what_a_live_owner_is_writing_is_no_finding(owner: SegmentStore, ends: str) -> None:
    """Scenario 46: half of a frame at the first read."""
    path = log_files(owner.path)[0]
    whole = path.stat().st_size
    owner.append(b"second", 1, expected_seq=2)
    frame = path.read_bytes()[whole:]
    os.truncate(path, whole + len(frame) // 2)

    def go_on() -> None:
        os.truncate(path, whole)
        if ends == "is written":
            with path.open("ab") as file:
                file.write(frame)

    result = verify(FolderReader(owner.path, disk=Busy(before={2: go_on})))
    assert (result.findings, result.last_seq) == ([], 2 if ends == "is written" else 1)


def test_half_of_a_frame_that_is_not_being_written_is_a_finding(owner: SegmentStore) -> None:
    path = log_files(owner.path)[0]
    os.truncate(path, path.stat().st_size - 1)
    assert [finding.seq for finding in verify(open_reader(owner.path)).findings] == [1]


def test_history_that_a_live_owner_drops_meanwhile_is_no_finding(folder: Path) -> None:
    """Scenario 46: the first segment, listed and then gone."""
    first = log_files(folder)[0]

    class Dropping(Disk):
        def open_read(self, path: Path) -> BinaryIO:
            if path == first:
                first.unlink()
            return super().open_read(path)

    result = verify(FolderReader(folder, disk=Dropping()))
    assert (result.findings, result.last_seq) == ([], 18)
    assert result.first_seq > 1
    log_files(folder)[0].unlink()
    assert not verify(open_reader(folder)).ok, "but what no snapshot holds must be there"
