"""A real process dies at each system call and each line of the store, or its calls fail: the store keeps its contract.

PERDURE_SWEEP=all visits every point of the longer sweeps, PERDURE_SWEEP=opcodes each bytecode.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perdure.chaos.disk.store_contract import Lost
from perdure.chaos.disk.workload import StoreWork, spread
from perdure.chaos.processes.kill_lines import Lines
from perdure.chaos.processes.sweep import Sweep
from perdure.chaos.processes.syscalls import Injection, Strace, why_no_strace
from perdure.events.errors import StoreUnavailable
from perdure.store import SegmentStore
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.chaos.processes.forked_child import Report
    from perdure.store import Snapshot

SHM = Path("/dev/shm")  # noqa: S108 - only where it is a file system in memory; its names are temporary folders
WHOLE = os.environ.get("PERDURE_SWEEP", "")
NO_STRACE = why_no_strace()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory if there is one. A killed process loses nothing from the page cache, and memory is many times faster."""
    if not os.access(SHM, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=SHM) as made:
        yield Path(made)


def ran_in_new_process(request: pytest.FixtureRequest) -> bool:
    """Run a test again in a new interpreter and return True; return False in that interpreter.

    CPython 3.11 can loop for ever in a forked child that sets a trace function, if its parent once had busy threads, as after other
    tests.
    """
    if os.environ.get("PERDURE_FRESH"):
        return False
    one = f"{__file__}::{request.node.name}"
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-m", "long or not long", one]
    fresh = {**os.environ, "PERDURE_FRESH": "1"}
    done = subprocess.run(command, env=fresh, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    return True


under_strace = pytest.mark.skipif(bool(NO_STRACE), reason=NO_STRACE)


@pytest.mark.long
@under_strace
def test_killed_at_each_system_call(folder: Path) -> None:
    """Scenarios 29, 36 and 55 for the store, at every call of a workload with segments, snapshots, drops and a restart."""
    sweep = Sweep(folder)
    sweep.kill_at_calls()
    assert sweep.points > 100
    print(f"killed at each of {sweep.points:,} system calls")


@pytest.mark.long
def test_killed_at_lines_of_the_store(folder: Path, request: pytest.FixtureRequest) -> None:
    """Scenario 29 for the store, between any two lines."""
    if ran_in_new_process(request):
        return
    sweep = Sweep(folder)
    sweep.kill_at_lines(0 if WHOLE else 500, opcodes=WHOLE == "opcodes")
    assert sweep.points > 400
    print(f"killed at {sweep.points:,} {'bytecodes' if WHOLE == 'opcodes' else 'lines'}")


@pytest.mark.long
@under_strace
def test_each_call_failing(folder: Path) -> None:
    """Scenario 34 for the store: each call fails once; that is reported, nothing acknowledged is lost, and the store goes on."""
    sweep = Sweep(folder)
    sweep.fail_calls(0 if WHOLE else 100)
    assert sweep.points >= 100
    assert sweep.errors_reported > 50
    print(f"{sweep.points:,} failing calls, {sweep.errors_reported:,} errors reported")


@pytest.mark.long
@under_strace
def test_each_call_failing_for_good(folder: Path) -> None:
    """Scenario 34 for the store: it gives up with `StoreUnavailable`, and a later process finds all that was acknowledged."""
    sweep = Sweep(folder)
    sweep.fail_calls(0 if WHOLE else 40, onward=True)
    assert sweep.points >= 40
    assert sweep.errors_reported > 100
    print(f"{sweep.points:,} calls failing for good, {sweep.errors_reported:,} errors reported")


@pytest.mark.long(seconds=3)
def test_files_that_may_not_grow(folder: Path) -> None:
    """Scenario 34 for the store: real short writes by RLIMIT_FSIZE at one size after another, then EFBIG, then room again."""
    sweep = Sweep(folder)
    sweep.limit_file_size(1 if WHOLE else 59)
    assert sweep.points > 40
    assert sweep.errors_reported >= sweep.points - 2  # the first and the last limit may have no effect
    print(f"{sweep.points:,} limits, {sweep.errors_reported:,} errors reported")


@under_strace
@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync", "openat"])
def test_an_interrupted_call_is_repeated(folder: Path, call: str) -> None:
    """EINTR: CPython repeats the call (PEP 475), so the same call follows, and no error is reported."""
    made, works = 0, 0
    for at in range(1, 4):
        data = folder / str(at)

        def work(report: Report, data: Path = data) -> None:
            StoreWork(data, report).run()

        ended, calls = Strace((call,)).run(work, Injection(call, "error=EINTR", at))
        assert ended.status == 0
        assert not [line for line in ended.reports if line.startswith(("error", "warning"))]
        interrupted = next(n for n, line in enumerate(calls) if "EINTR" in line and "INJECTED" in line)
        made += calls[interrupted + 1].split(" = ")[0] == calls[interrupted].split(" = ")[0]
        works += 1
    assert made == works


def test_spread() -> None:
    assert spread(range(10), 0) == list(range(10))
    assert spread(range(10), 10) == list(range(10))
    assert spread(range(100), 4) == [24, 49, 74, 99]
    assert len(set(spread(range(1000), 333))) == 333


@pytest.mark.long
def test_lines_are_counted_and_reached(folder: Path, request: pytest.FixtureRequest) -> None:
    """The tool itself: equal work has the same number of lines each time, more bytecodes, and dies at the last of them."""
    if ran_in_new_process(request):
        return

    def work(report: Report) -> None:
        StoreWork(folder / str(os.getpid()), report, 6).run()

    StoreWork(folder / "warm", lambda _: None, 6).run()
    count = Lines().count(work)
    assert count == Lines().count(work)
    assert Lines(opcodes=True).count(work) > 3 * count
    last = Lines().run(work, count)
    assert last.killed
    assert last.reports[-1] == "ack 6"
    assert Lines().run(work, count + 1).status == 0


# --- planted bugs --------------------------------------------------------------------------------------------------------


class SegmentInPlace(SegmentStore):
    """Creates a segment under its final name, before its header is written."""

    def _begin_segment(self) -> None:
        path = self.reader.segment_path(self.last_seq + 1)
        head = sg.pack_header(sg.SegmentHeader(self._store_id, self.last_seq + 1, self.epoch, self._chain, self._now_us()))
        self._fd, self._size, self._segment = self.disk.create(path), len(head), self.last_seq + 1
        self.disk.write(self._fd, head)
        self.disk.sync(self._fd)
        self.disk.sync_folder(self.path)


class DropsBeforeTheSnapshot(SegmentStore):
    """Removes old segments before the new snapshot is saved."""

    def save_snapshot(self, snapshot: Snapshot) -> None:
        for first_seq in self.reader.segments()[:-1]:
            self.disk.remove(self.reader.segment_path(first_seq))
        super().save_snapshot(snapshot)


class SwallowsTheError(SegmentStore):
    def sync(self) -> None:
        try:
            super().sync()
        except StoreUnavailable:
            self._failed = None
            self.synced_seq = self.last_seq


def planted(bug: type[SegmentStore], folder: Path) -> Sweep:
    def make(data: Path) -> SegmentStore:
        return bug(data, segment_bytes=2048)

    return Sweep(folder, make)


@pytest.mark.long
@under_strace
@pytest.mark.parametrize("bug", [SegmentInPlace, DropsBeforeTheSnapshot])
def test_planted_bug_is_found_by_kills(folder: Path, bug: type[SegmentStore]) -> None:
    with pytest.raises(Lost, match="signal=KILL"):
        planted(bug, folder).kill_at_calls()


@pytest.mark.long
@pytest.mark.parametrize("bug", [SegmentInPlace])
def test_planted_bug_is_found_by_kills_at_lines(folder: Path, bug: type[SegmentStore], request: pytest.FixtureRequest) -> None:
    if ran_in_new_process(request):
        return
    with pytest.raises(Lost, match="step"):
        planted(bug, folder).kill_at_lines(1000)


@pytest.mark.long
@under_strace
@pytest.mark.parametrize("bug", [SwallowsTheError])
def test_planted_bug_is_found_by_failing_calls(folder: Path, bug: type[SegmentStore]) -> None:
    with pytest.raises(Lost, match="was not reported"):
        planted(bug, folder).fail_calls(100)
