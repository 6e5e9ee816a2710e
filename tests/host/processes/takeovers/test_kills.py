"""Processes of a shared folder are killed under load, the owner first of all; the accounts that they wrote must balance."""

from __future__ import annotations

import collections
import os
import random
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

import perdure
from perdure.store.disk.folder_lock import live_owner
from tests.host.processes.bookkeeper import Entry
from tests.host.processes.clients.test_faults import suspend, wait_until
from tests.programs import Program

KILLS = int(os.environ.get("PERDURE_TEST_KILLS", "20"))
STOPS = int(os.environ.get("PERDURE_TEST_STOPS", "5"))
PROGRAM = Path(__file__).parents[1] / "bookkeeper.py"
PROCESSES = 3


class Processes:
    """The processes that share a folder, and the accounts that they write."""

    def __init__(self, folder: Path, accounts: Path) -> None:
        self.folder = folder
        self.accounts = accounts
        accounts.mkdir()
        self.running: dict[int, Program] = {}
        self.killed: set[int] = set()

    def begin(self) -> Program:
        process = Program([str(PROGRAM), str(self.folder), str(self.accounts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.running[process.pid] = process
        return process

    def is_up(self, process: Program) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"

    def owner(self) -> int:
        """Return the pid of the owner, once there is one."""
        wait_until(lambda: live_owner(self.folder) in self.running)
        return live_owner(self.folder) or 0

    def kill(self, pid: int) -> None:
        self.killed.add(pid)
        process = self.running.pop(pid)
        process.kill()
        process.wait()

    def end(self) -> None:
        """Tell all to stop at once."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            assert process.wait(120) == 0

    def told(self) -> list[str]:
        return [line for file in self.accounts.glob("*.told") for line in file.read_text().split()]

    def handled(self) -> dict[int, list[str]]:
        return {int(file.stem): file.read_text().split() for file in self.accounts.glob("*.handled")}


def handled_at_last(folder: Path) -> list[str]:
    """Handle what is left in this process; return the ids."""
    late: list[str] = []
    with perdure.System(folder) as system:

        @system.handler(Entry)
        def handle(_: Entry, context: perdure.Context) -> None:
            late.append(context.id)

        system.drain(120)
        assert system.admin.metrics().dead_lettered == 0
        assert system.audit.verify().ok
    return late


def kill_one(processes: Processes, n: int, rng: random.Random) -> None:
    """Kill the owner, or another process each fourth time; some are stopped first, and some successors die as they take over."""
    victim = processes.owner() if n % 4 else rng.choice([*processes.running])
    fresh = processes.begin()
    time.sleep(rng.uniform(0.0, 0.2))
    if n % 5 == 4 and victim == live_owner(processes.folder):
        suspend(victim)
        time.sleep(0.2)
        assert live_owner(processes.folder) == victim, "none takes over while it has the lock"
    processes.kill(victim)
    if n % 3 == 2:
        second = processes.owner()
        if second != fresh.pid:
            processes.kill(second)
            processes.is_up(processes.begin())
    processes.is_up(fresh)


def are_told_more(processes: Processes, than: int) -> bool:
    return len(processes.told()) > than


@pytest.mark.long(seconds=6)
@pytest.mark.timeout(60 + 20 * STOPS)
def test_all_processes_are_told_to_stop_at_once_and_each_message_is_handled_once(tmp_path: Path) -> None:
    for n in range(STOPS):
        processes = Processes(tmp_path / f"shop{n}", tmp_path / f"accounts{n}")
        try:
            for process in [processes.begin() for _ in range(PROCESSES)]:
                processes.is_up(process)
            wait_until(partial(are_told_more, processes, 50 * PROCESSES))
            processes.end()
        finally:
            for pid in [*processes.running]:
                processes.kill(pid)
        handled = collections.Counter(ident for idents in processes.handled().values() for ident in idents)
        handled.update(handled_at_last(processes.folder))
        assert set(handled) >= set(processes.told())
        assert [ident for ident, times in handled.items() if times > 1] == []


@pytest.mark.long(seconds=90)
@pytest.mark.timeout(300 + 5 * KILLS)
def test_owners_and_members_are_killed_under_load_and_the_books_balance(folder: Path, tmp_path: Path) -> None:
    processes = Processes(folder, tmp_path / "accounts")
    rng = random.Random(13)
    try:
        for process in [processes.begin() for _ in range(PROCESSES)]:
            processes.is_up(process)
        for n in range(KILLS):
            kill_one(processes, n, rng)
        processes.end()
        living = {*processes.running}
    finally:
        for pid in [*processes.running]:
            processes.kill(pid)
    late, told, handled = handled_at_last(folder), processes.told(), processes.handled()
    assert len(told) == len(set(told)) > 100
    assert {ident for idents in handled.values() for ident in idents} | set(late) >= set(told), "nothing acknowledged is lost"
    by_the_living = collections.Counter(late)
    for pid, idents in handled.items():
        by_the_living.update(idents if pid in living else [])
    doubled = [ident for ident, times in by_the_living.items() if times > 1]
    assert len(doubled) <= KILLS // 10, "only what a process had in hand that was killed is handled again"
