"""A folder that is moved, deleted or replaced under its owner, and files restored over newer ones: the owner stops writing.

What a whole system does then is in `tests/host/recovery/test_moved_folder`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perdure.events.errors import FolderMoved, StoreLocked, StoreUnavailable
from perdure.store import FolderReader, History, SegmentStore, Snapshot
from perdure.store.disk.disk import Disk
from perdure.store.files import folder_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "identity_check_s", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(folder: Path) -> Iterator[SegmentStore]:
    """An owner with three segments and a snapshot."""
    made = SegmentStore(folder, segment_bytes=300)
    made.open()
    for n in range(9):
        add(made, b"%d" % n * 20)
    made.save_snapshot(Snapshot(made.last_seq, b"state"))
    yield made
    made.abandon()


def add(store: SegmentStore, body: bytes) -> None:
    store.append(body, 1, expected_seq=store.last_seq + 1)
    store.sync()


def bodies(folder: Path) -> list[bytes]:
    return [frame.body for frame in FolderReader(folder).frames()]


def move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def replace(folder: Path) -> None:
    move(folder)
    other = SegmentStore(folder, segment_bytes=300)
    other.open()
    add(other, b"of the other")
    other.abandon()


def replace_by_a_copy(folder: Path) -> None:
    move(folder)
    shutil.copytree(folder.with_name("moved"), folder)


def replace_by_a_file(folder: Path) -> None:
    move(folder)
    folder.write_text("a file")


def delete(folder: Path) -> None:
    shutil.rmtree(folder)


def newest(folder: Path) -> Path:
    return max(folder.glob("*.seg"))


def swap_newest(folder: Path) -> None:
    path = newest(folder)
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(copy)


def remove_newest(folder: Path) -> None:
    newest(folder).unlink()


def overwrite_newest_by_less(folder: Path) -> None:
    path = newest(folder)
    path.write_bytes(path.read_bytes()[:-30])


def remove_all_segments(folder: Path) -> None:
    for path in folder.glob("*.seg"):
        path.unlink()


HARMS = [
    move,
    replace,
    replace_by_a_copy,
    replace_by_a_file,
    delete,
    swap_newest,
    remove_newest,
    overwrite_newest_by_less,
    remove_all_segments,
]


@pytest.mark.parametrize("harm", HARMS)
def test_nothing_is_written_after(store: SegmentStore, folder: Path, harm: Callable[[Path], None]) -> None:
    before = bodies(folder)
    harm(folder)
    there = {path: path.read_bytes() for path in folder.parent.rglob("*.seg")}
    with pytest.raises(FolderMoved):
        store.append(b"later", 1, expected_seq=store.last_seq + 1)
    with pytest.raises(FolderMoved):
        store.seal()
    with pytest.raises(FolderMoved):
        store.reopen()
    with pytest.raises(FolderMoved):
        store.save_snapshot(Snapshot(store.last_seq, b"state"))
    store.abandon()
    assert {path: path.read_bytes() for path in folder.parent.rglob("*.seg")} == there
    if folder.with_name("moved").exists():
        assert bodies(folder.with_name("moved")) == before


@pytest.mark.parametrize("harm", [move, replace, delete, swap_newest, remove_newest, overwrite_newest_by_less])
def test_a_successor_within_the_process_finds_it_too(store: SegmentStore, folder: Path, harm: Callable[[Path], None]) -> None:
    harm(folder)
    with pytest.raises(FolderMoved):
        store.reopen()


def test_nothing_is_acknowledged_after_a_move_though_not_every_frame_is_checked(
    store: SegmentStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "identity_check_s", 1e9)
    store.append(b"looked at", 1, expected_seq=store.last_seq + 1)
    move(folder)
    store.append(b"not looked at", 1, expected_seq=store.last_seq + 1)
    with pytest.raises(FolderMoved):
        store.sync()


def test_what_another_appends_is_found(store: SegmentStore, folder: Path) -> None:
    with newest(folder).open("ab") as file:
        file.write(b"of another")
    with pytest.raises(FolderMoved, match="something else writes it"):
        add(store, b"later")
    with pytest.raises(FolderMoved):
        store.seal()


@pytest.mark.parametrize("harm", ["swapped", "shorter"])
def test_an_older_segment_that_was_restored_is_found_at_the_next_snapshot(store: SegmentStore, folder: Path, harm: str) -> None:
    oldest = min(folder.glob("*.seg"))
    content = oldest.read_bytes()
    if harm == "shorter":
        oldest.write_bytes(content[:-1])
    else:
        (folder / "copy").write_bytes(content)
        (folder / "copy").rename(oldest)
    add(store, b"later")
    with pytest.raises(FolderMoved, match=oldest.name):
        store.save_snapshot(Snapshot(store.last_seq, b"state"))


@pytest.mark.parametrize("in_turn", [1, 64])
def test_an_older_segment_that_was_restored_is_found_where_a_new_one_begins(
    store: SegmentStore, folder: Path, monkeypatch: pytest.MonkeyPatch, in_turn: int
) -> None:
    """Without a snapshot in between. A segment that is not checked this time is checked later."""
    monkeypatch.setattr(folder_identity, "CHECKED_AT_ONCE", in_turn)
    oldest = sorted(folder.glob("*.seg"))[1]
    oldest.write_bytes(oldest.read_bytes()[:-1])
    begun = len(list(folder.glob("*.seg")))

    def go_on() -> None:
        while len(list(folder.glob("*.seg"))) < begun + 4:
            add(store, b"later" * 10)

    with pytest.raises(FolderMoved, match=oldest.name):
        go_on()


def test_the_error_says_where_the_folder_is_now(store: SegmentStore, folder: Path) -> None:
    move(folder)
    with pytest.raises(FolderMoved, match=f"moved to {folder.with_name('moved')}: what was acknowledged is there"):
        add(store, b"later")


def test_the_error_says_where_a_replaced_segment_can_be_copied_from(store: SegmentStore, folder: Path) -> None:
    content = newest(folder).read_bytes()
    remove_newest(folder)
    with pytest.raises(FolderMoved, match=f"copied from /proc/{os.getpid()}/fd/") as caught:
        add(store, b"later")
    path = str(caught.value).split("copied from ")[1].split()[0]
    with open(path, "rb") as file:  # noqa: PTH123 - the name of a descriptor
        assert file.read() == content


def test_a_folder_moved_and_moved_back_goes_on(store: SegmentStore, folder: Path) -> None:
    move(folder)
    folder.with_name("moved").rename(folder)
    add(store, b"later")
    assert bodies(folder)[-1] == b"later"


def test_a_link_that_leads_to_the_moved_folder_is_its_name(store: SegmentStore, folder: Path) -> None:
    move(folder)
    folder.symlink_to(folder.with_name("moved"))
    add(store, b"later")


def test_a_folder_is_opened_by_a_link_and_stops_where_the_link_leads_elsewhere(tmp_path: Path) -> None:
    folder, other, link = tmp_path / "data", tmp_path / "other", tmp_path / "link"
    folder.mkdir(mode=0o700)
    other.mkdir(mode=0o700)
    link.symlink_to(folder)
    store = SegmentStore(link)
    store.open()
    add(store, b"kept")
    assert bodies(folder) == bodies(link) == [b"kept"]
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(FolderMoved):
        add(store, b"later")
    store.abandon()
    assert bodies(folder) == [b"kept"]
    assert list(other.iterdir()) == []


def test_another_working_directory_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder was named relative to the working directory at the start."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = SegmentStore("data", segment_bytes=100, history=History("archive"))
    store.open()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for _ in range(8):
        add(store, b"x" * 50)
        store.save_snapshot(Snapshot(store.last_seq, b"state"))
        store.retire_history()
    store.reopen()
    store.close()
    assert os.listdir(tmp_path / "elsewhere") == []  # noqa: PTH208 - names are all that is wanted
    assert len(list((tmp_path / "data" / "archive").glob("*.seg"))) > 1
    assert bodies(tmp_path / "data")[-1] == b"x" * 50


def test_segments_that_the_owner_drops_are_no_harm(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, segment_bytes=100, history=History("drop"))
    store.open()
    for _ in range(12):
        add(store, b"x" * 50)
        store.save_snapshot(Snapshot(store.last_seq, b"state"))
        store.retire_history()
    assert store.first_seq > 1
    store.reopen()
    store.close()


@pytest.mark.parametrize("harm", [replace, delete, remove_newest])
def test_nothing_is_read_of_what_is_not_the_log(store: SegmentStore, folder: Path, harm: Callable[[Path], None]) -> None:
    """An actor that recovered from it would lack events."""
    harm(folder)
    with pytest.raises(FolderMoved):
        list(store.frames())


# --- the lock --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["removed", "another file", "a folder"])
def test_the_lock_outlasts_its_file(store: SegmentStore, folder: Path, harm: str) -> None:
    (folder / "owner.lock").unlink()
    if harm == "another file":
        (folder / "owner.lock").write_text("")
    elif harm == "a folder":
        (folder / "owner.lock").mkdir()
    with pytest.raises((StoreLocked, StoreUnavailable)):
        SegmentStore(folder).open()
    add(store, b"later")


def test_a_copy_of_a_folder_has_no_owner(store: SegmentStore, folder: Path) -> None:
    replace_by_a_copy(folder)
    other = SegmentStore(folder)
    other.open()
    add(other, b"of the other")
    with pytest.raises(FolderMoved):
        add(store, b"later")
    other.close()
    assert bodies(folder)[-1] == b"of the other"


def test_a_folder_swapped_while_it_is_opened_is_refused(folder: Path) -> None:
    """Between the lookup of its name and the lock."""
    folder.mkdir()
    store = SegmentStore(folder)
    take = store._lock.take

    def swap() -> None:
        move(folder)
        folder.mkdir()
        take()

    store._lock.take = swap
    with pytest.raises(FolderMoved):
        store.open()
    assert list(folder.iterdir()) == []
    again = SegmentStore(folder)
    assert again.open().created
    again.close()


OTHER = """
import sys
from perdure.store import SegmentStore

store = SegmentStore(sys.argv[1], segment_bytes=300)
store.open()
for n in range(30):
    store.append(b"of the other", 1, expected_seq=store.last_seq + 1)
    store.sync()
store.close()
"""


def test_two_processes_never_write_into_one_folder(store: SegmentStore, folder: Path) -> None:
    """The folder is moved and created again by another process, while this one goes on."""
    mine = bodies(folder)
    move(folder)
    subprocess.run([sys.executable, "-c", OTHER, str(folder)], check=True)
    with pytest.raises(FolderMoved):
        add(store, b"later")
    assert bodies(folder) == [b"of the other"] * 30
    assert bodies(folder.with_name("moved")) == mine


def test_an_abandoned_folder_is_closed_while_its_error_is_still_referenced(store: SegmentStore, folder: Path) -> None:
    """A traceback refers to the open folder; a host that keeps one could not unmount the file system."""
    with pytest.raises(FileNotFoundError) as failed:
        store.disk.open_append(folder / "absent")
    store.abandon()
    assert failed.value.__traceback__ is not None
    assert not [fd for fd in Path("/proc/self/fd").iterdir() if _leads_to(fd) == str(folder)]


def _leads_to(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""  # the listing's own, closed by now
