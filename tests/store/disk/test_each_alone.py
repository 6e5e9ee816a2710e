"""`call_each`, and the locks of folders in a forked child: one that raises keeps no other from being told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perdure.store.disk import folder_lock
from perdure.store.disk.each_alone import call_each

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_all_are_told_and_those_that_raised_are_named_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []

    def tell(number: int) -> None:
        told.append(number)
        assert not caplog.records, "a log handler may hang: no line comes before all are told"
        if number == 2:
            raise KeyboardInterrupt
        if number == 3:
            raise ValueError(number)

    call_each([1, 2, 3, 4], tell, "the end came")
    assert told == [1, 2, 3, 4]
    assert [record.getMessage() for record in caplog.records] == [
        "the end came: int failed, and the others went on: KeyboardInterrupt()",
        "the end came: int failed, and the others went on: ValueError(3)",
    ]


def test_a_lock_whose_descriptor_was_closed_keeps_no_other_in_a_forked_child(tmp_path: Path) -> None:
    """The host may have closed descriptors that it does not know. The child closes all others: its parent's end frees them."""
    locks = []
    for n in range(4):
        (tmp_path / str(n)).mkdir()
        locks.append(folder_lock.FolderLock(tmp_path / str(n), lambda path, flags: os.open(path, flags, 0o600)))
        locks[n].take()
    kept = [fd for lock in locks for fd in (lock._fd, lock._folder_fd) if fd is not None]
    shut = [locks[0]._fd, locks[3]._folder_fd]
    for fd in shut:
        assert fd is not None
        os.close(fd)
    pid = os.fork()
    if pid == 0:
        open_yet = 0
        for fd in kept:
            try:
                os.fstat(fd)
                open_yet += 1
            except OSError:
                continue
        os._exit(open_yet)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for lock in locks:
        held = [fd for fd in (lock._fd, lock._folder_fd) if fd is not None and fd not in shut]
        lock._fd = lock._folder_fd = None
        for fd in held:
            os.close(fd)
        lock.drop()
