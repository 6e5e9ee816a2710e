"""Ownership: one process may write, named by its pid, exactly as long as it lives; and the permissions of its files.

Two stores within one process are in `test_contract`.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perdure.actors.core.actor import ActorKilled
from perdure.events.errors import StoreLocked, StoreUnavailable
from perdure.store import FolderReader, Frame, SegmentStore, Snapshot
from perdure.store.disk.disk import Disk
from perdure.store.format import segment as sg
from tests.programs import open_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = """
import sys
from perdure.store import SegmentStore

store = SegmentStore(sys.argv[1])
store.open()
store.append(b"of the owner", 1, expected_seq=store.last_seq + 1)
store.sync()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the folder and has written one event."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_the_owners_pid(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    """Scenario 37."""
    with pytest.raises(StoreLocked, match=f"in use by process {owner.pid}") as caught:
        SegmentStore(tmp_path).open()
    assert caught.value.pid == owner.pid
    assert [frame.body for frame in FolderReader(tmp_path).frames()] == [b"of the owner"]  # reading takes no lock


def test_a_killed_owner_does_not_block_the_next(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    """Scenario 37: the next owner opens at once, and numbers go on (scenario 36)."""
    owner.send_signal(signal.SIGKILL)
    owner.wait(10)
    store = SegmentStore(tmp_path)
    recovered = store.open()
    assert (recovered.last_seq, recovered.epoch, recovered.clean) == (1, 2, False)
    store.append(b"of the next", 1, expected_seq=2)
    store.close()


def test_a_forked_child_neither_keeps_the_lock_nor_writes(tmp_path: Path) -> None:
    """Scenario 37: the child outlives its parent's ownership without keeping it."""
    store = SegmentStore(tmp_path)
    store.open()
    store.append(b"of the parent", 1, expected_seq=1)
    to_child, from_child = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        refused = b"no"
        try:
            store.append(b"of the child", 1, expected_seq=2)
        except StoreUnavailable:
            refused = b"ok"
        os.write(from_child[1], refused)
        os.read(to_child[0], 1)
        os._exit(0)
    try:
        assert os.read(from_child[0], 2) == b"ok"
        with pytest.raises(StoreLocked):
            SegmentStore(tmp_path).open()  # that the child closed the lock did not release the parent's
        store.close()
        store.open()  # the child is alive and does not hold the lock
        assert list(store.frames()) == [Frame(1, 1, b"of the parent")]
        store.close()
    finally:
        os.write(to_child[1], b".")
        os.waitpid(pid, 0)
        for fd in (*to_child, *from_child):
            os.close(fd)


def test_an_unreadable_owner_is_another_process(tmp_path: Path) -> None:
    """Scenario 37: the content of the lock file is only for the message."""
    store = SegmentStore(tmp_path)
    store.open()
    (tmp_path / "owner.lock").write_bytes(b"\xff{]")
    with pytest.raises(StoreLocked, match="in use by another process") as caught:
        SegmentStore(tmp_path).open()
    assert caught.value.pid is None
    store.close()


def test_a_store_that_could_not_open_releases_the_lock(tmp_path: Path) -> None:
    (tmp_path / sg.file_name(1)).mkdir()
    with pytest.raises(StoreUnavailable):
        SegmentStore(tmp_path).open()
    (tmp_path / sg.file_name(1)).rmdir()
    store = SegmentStore(tmp_path)
    assert store.open().created
    store.close()


def test_only_the_owner_of_the_files_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    before = os.umask(0)
    try:
        store = SegmentStore(folder, segment_bytes=1)
        store.open()
        store.append(b"x", 1, expected_seq=1)
        store.append(b"x", 1, expected_seq=2)
        store.save_snapshot(Snapshot(1, b"state"))
        store.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("not a folder")
    for folder in (path, path / "below"):
        with pytest.raises(StoreUnavailable, match="Name a folder"):
            SegmentStore(folder).open()
    assert path.read_text() == "not a folder"


def test_a_folder_that_may_not_be_written() -> None:
    """Root may write everywhere, so the test switches to another user."""
    root, nobody = os.geteuid() == 0, 65534
    with tempfile.TemporaryDirectory() as top:  # not pytest's: only its owner may enter that
        Path(top).chmod(0o755)
        folder = Path(top) / "data"
        folder.mkdir(0o500)
        if root:
            os.chown(folder, nobody, nobody)
            os.seteuid(nobody)
        try:
            with pytest.raises(StoreUnavailable, match="permissions"):
                SegmentStore(folder).open()
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.parametrize("name", [sg.file_name(1), "owner.lock"])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    store = SegmentStore(folder)
    store.open()
    store.append(b"x", 1, expected_seq=1)
    store.close()
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    with pytest.raises(StoreUnavailable):
        SegmentStore(folder).open()
    assert elsewhere.read_bytes() == before
    if name != "owner.lock":
        with pytest.raises(StoreUnavailable, match="symbolic links"):
            list(FolderReader(folder).frames())


@pytest.mark.parametrize("call", ["ftruncate", "pwrite"])
def test_an_owner_whose_pid_cannot_be_written_owns_and_can_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Scenario 34 for the lock, found by failing each system call: the lock file's descriptor leaked, locked for ever."""

    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = SegmentStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        store.open()
    assert "owner.lock is locked, but the pid" in caplog.text
    with pytest.raises(StoreLocked, match="another process") as caught:
        SegmentStore(tmp_path).open()
    assert caught.value.pid is None
    store.close()
    SegmentStore(tmp_path).open()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # that is what closes it
def test_a_kill_while_a_file_is_opened_leaks_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 39: a kill right behind a system call; a soak had lost a descriptor in 350 kills."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    open_before = open_descriptors()
    killed = []

    def kill(fd: int) -> None:
        killed.append(fd)
        raise ActorKilled(path.name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", kill)  # the first call on an opened file
        with pytest.raises(ActorKilled):
            Disk().open_read(path)
    assert len(killed) == 1
    assert open_descriptors() == open_before
