"""Processes of a shared folder are killed under load, the owner first of all; the books that they wrote must balance."""

from __future__ import annotations

import collections
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import perdure
from perdure.store.disk.folder_lock import live_owner
from tests.host.processes.test_faults import wait_until

KILLS = int(os.environ.get("PERDURE_TEST_KILLS", "20"))
PROGRAM = Path(__file__).with_name("bookkeeper.py")
PROCESSES = 3


@pytest.mark.long(seconds=90)
@pytest.mark.timeout(300 + 5 * KILLS)
def test_owners_and_members_are_killed_under_load_and_the_books_balance(folder: Path, tmp_path: Path) -> None:
    books = tmp_path / "books"
    books.mkdir()
    rng = random.Random(13)
    running: dict[int, subprocess.Popen[str]] = {}
    killed: set[int] = set()

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder), str(books)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running[process.pid] = process
        return process

    def is_up(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"

    def kill(pid: int | None) -> None:
        killed.add(pid or 0)
        process = running.pop(pid or 0)
        process.kill()
        process.wait()

    try:
        for process in [begin() for _ in range(PROCESSES)]:
            is_up(process)
        for n in range(KILLS):
            wait_until(lambda: live_owner(folder) in running)
            owner = live_owner(folder) or 0
            victim = owner if n % 4 else rng.choice([*running])
            fresh = begin()
            time.sleep(rng.uniform(0.0, 0.2))
            if n % 5 == 4:  # stopped first: all others wait, and none takes over while it holds the lock
                os.kill(victim, signal.SIGSTOP)
                time.sleep(0.2)
                if victim == owner:
                    assert live_owner(folder) == owner
            kill(victim)
            if n % 3 == 2:  # the one that takes over dies while it does, perhaps
                wait_until(lambda dead=victim: live_owner(folder) not in (dead, None))  # type: ignore[misc]
                second = live_owner(folder)
                if second in running and second != fresh.pid:
                    kill(second)
                    is_up(begin())
            is_up(fresh)
        for process in running.values():
            assert process.stdin is not None
            process.stdin.close()
        for process in running.values():
            assert process.wait(120) == 0, "it stopped in good order"
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    told = [line for file in books.glob("*.told") for line in file.read_text().split()]
    assert len(told) == len(set(told)) > 100
    with perdure.System(folder) as system:

        @system.handler("books.Entry")
        def handle(_: object, context: perdure.Context) -> None:
            late.append(context.id)

        late: list[str] = []
        system.drain(120)
        assert system.admin.metrics().dead_lettered == 0
    by_process = {int(file.stem): [line.split()[0] for line in file.open()] for file in books.glob("*.handled")}
    handled = {ident for idents in by_process.values() for ident in idents} | set(late)
    assert handled >= set(told), "nothing that was acknowledged is lost"
    survived = collections.Counter(late)
    for pid, idents in by_process.items():
        survived.update(idents if pid not in killed else [])
    doubled = [ident for ident, times in survived.items() if times > 1]
    assert len(doubled) <= KILLS // 10, "what was handled in a process that lived is not handled again"
