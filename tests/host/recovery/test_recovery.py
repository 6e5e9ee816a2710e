"""Recovery: after a stop, a torn tail, flipped bytes, a full disk, and kills at any moment."""

from __future__ import annotations

import errno
import logging
import shutil
import signal
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.journal.log_fold import fold_log
from perdure.chaos import Fault, MemoryDisk
from perdure.events import vocabulary as ev
from perdure.events.codec.queue_snapshot import dump_queue
from perdure.events.codec.snapshot import dump_dead_letters, dump_handlers
from perdure.store import FolderReader, SegmentStore
from tests.programs import run
from tests.records import events_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Slow:
    number: int


def make(folder: Path, clock: perdure.ManualClock | None = None) -> perdure.System:
    system = perdure.System(folder, clock=clock)

    @system.handler(Job, retries=1, backoff=perdure.Fixed(100.0), parallelism=2)
    def job(job: Job, ctx: perdure.Context) -> None:
        if job.number == 1:
            reason = "never"
            raise perdure.Reject(reason)
        if job.number == 2:
            raise ValueError(job.number)

    return system


def test_everything_is_as_before(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    """Scenario 28: ready, delayed and leased messages, dead letters, keys, retries, pauses and scales are as before."""
    with make(folder, clock) as system:
        dead = system.publish(Job(1))
        retrying = system.publish(Job(2))
        until(lambda: system.admin.metrics().dead_letters == 1 and system.admin.metrics().delayed == 1)
        system.admin.pause(Job)
        system.admin.scale(Job, 5)
        system.publish(Job(3), key="k")
        system.publish(Job(4), delay=500.0)
        system.publish(Slow(5))
        delivery = system.checkout(Slow, lease=1000.0)
        assert delivery is not None
        before = system.admin.metrics()
    with make(folder, clock) as system:
        now = system.admin.metrics()
        # The process of the manual consumer has ended, so its message is back at once, with its attempt counted.
        assert (now.ready, now.delayed, now.dead_letters) == (before.ready + 1, before.delayed, before.dead_letters)
        assert (now.in_flight, now.lease_expired) == (0, 1)
        (info,) = system.admin.handlers().values()
        assert (info.paused, info.parallelism) == (True, 5)
        assert [letter.id for letter in system.dead_letters.list()] == [dead]
        again = system.checkout(Slow)
        assert again is not None
        assert again.attempt == 2
        again.ack()
        with pytest.raises(perdure.NotRunning):
            delivery.ack()  # of a system that has stopped
        newer = system.publish(Job(30), key="k")
        assert system.admin.metrics().superseded == 1
        system.admin.resume(Job)
        clock.advance(101.0)
        until(lambda: system.admin.metrics().dead_letters == 2)
        assert system.dead_letters.get(retrying).attempts == 2
        clock.advance(500.0)
        system.drain(timeout=10.0)
        assert system.audit.timeline(newer)[-1].name == "Completed"


def test_snapshot_and_what_came_after_equals_all_from_the_first_event(folder: Path, until: Until) -> None:
    """Scenario 30: a snapshot, more work, a crash. Scenario 31: the newest snapshot damaged in every way."""
    with make(folder) as system:
        for n in range(20):
            system.publish(Job(n), key=f"k{n % 7}", delay=3600.0 if n % 3 else None)
            if n in (5, 12):
                system.admin.snapshot()
        until(lambda: system.admin.metrics().ready == 0)
        crashed = folder.parent / "crashed"
        shutil.copytree(folder, crashed)  # a copy of a live folder is what a crash leaves
    reader = FolderReader(crashed)
    newest = max(crashed.glob("*.snap"))
    whole = newest.read_bytes()
    every, base = fold_log(_Without(reader))
    assert base == 0
    wanted = (dump_queue(every.queue), dump_handlers(every.handlers), dump_dead_letters(every.dead_letters))
    harms = [whole, whole[: len(whole) // 2], b"", bytes(len(whole)), whole[:70] + b"?" + whole[71:], None]
    bases = []
    for harm in harms:
        newest.unlink(missing_ok=True)
        if harm is not None:
            newest.write_bytes(harm)
        states, base = fold_log(reader)
        bases.append(base)
        assert (dump_queue(states.queue), dump_handlers(states.handlers), dump_dead_letters(states.dead_letters)) == wanted
    assert bases[0] > bases[1] > 0
    with make(crashed) as system:
        assert system.admin.metrics().published == 20


class _Without:
    """A log without its snapshots."""

    def __init__(self, reader: FolderReader) -> None:
        self.frames = reader.frames
        self.first_seq = reader.first_seq

    def snapshots(self, _at_most: int | None = None) -> Any:
        return iter(())


def test_last_frame_torn_at_every_byte(folder: Path) -> None:
    """Scenario 32: every whole frame is kept, and the system goes on. Scenario 57: the report says what was cut."""
    with perdure.System(folder, options=perdure.Options(durability="fsync")) as system:
        ids = [system.publish(Job(n)) for n in range(3)]
        live = folder.parent / "live"
        shutil.copytree(folder, live)
    (path,) = live.glob("*.seg")
    data = path.read_bytes()
    start = data.rindex(b"PdFr")
    if int.from_bytes(data[start + 20 : start + 24], "little") == 0:  # a seal: what is before it was synced, so is no tear
        start = data.rindex(b"PdFr", 0, start)
        data = data[: data.rindex(b"PdFr")]
    for size in range(start + 1, len(data), 7):
        torn = folder.parent / f"torn{size}"
        torn.mkdir()
        (torn / path.name).write_bytes(data[:size])
        with perdure.System(torn) as system:
            assert system.recovery is not None
            assert system.recovery.cut_bytes == size - start
            assert system.recovery.cut_from_seq == system.recovery.last_seq + 1
            assert system.admin.metrics().published in (2, 3)
            assert system.publish(Job(9))
            assert system.audit.verify().ok
        shutil.rmtree(torn)
    assert len(ids) == 3


def test_flipped_byte_in_the_middle(folder: Path) -> None:
    """Scenario 33: audit opens; a start is refused, and its error names file, offset and sequence."""
    with perdure.System(folder) as system:
        for n in range(10):
            system.publish(Job(n))
    (path,) = folder.glob("*.seg")
    data = bytearray(path.read_bytes())
    frames = [i for i in range(len(data)) if data[i : i + 4] == b"PdFr"]
    data[frames[4] + 60] ^= 1
    path.write_bytes(data)
    with pytest.raises(perdure.StoreCorrupt) as refused:
        perdure.System(folder).start()
    assert (refused.value.file, refused.value.offset) == (str(path), frames[4])
    assert refused.value.seq > 0
    assert path.read_bytes() == data
    records = []
    with pytest.raises(perdure.StoreCorrupt):
        records += list(perdure.Audit(folder).events())
    read = perdure.Audit(folder).events()
    assert [next(read).seq for _ in range(refused.value.seq - 1)] == list(range(1, refused.value.seq))


def test_report_of_a_start(folder: Path, collected: Collected, caplog: pytest.LogCaptureFixture) -> None:
    """Scenario 57: waiting messages are counted before any delivery, invariants hold, and the report is logged and recorded."""
    with perdure.System(folder) as system:
        system.publish_many([Job(n) for n in range(3)])
    caplog.set_level(logging.INFO, logger="perdure")
    system = perdure.System(folder)
    system.handler(Job, parallelism=3)(lambda job: collected.add(job.number))
    with system:
        report = system.recovery
        assert report is not None
        assert (report.waiting, report.in_flight_taken_back, report.contradictions) == (3, 0, ())
        assert "3 waiting" in str(report)
        assert "all invariants hold" in caplog.text
        system.drain(timeout=10.0)
    started = events_of(ev.Started, perdure.Audit(folder).events(type="Started"))
    assert started[-1].report == report.plain()


def test_broken_invariants_are_reported(folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Scenario 57: they are logged as critical and are in the report; the log is undamaged, so the system runs."""
    monkeypatch.setattr("perdure.runtime.engine.contradictions", lambda queue, dead_letters: ["two and two are five"])
    with perdure.System(folder) as system:
        assert system.recovery is not None
        assert system.recovery.contradictions == ("two and two are five",)
    assert any(r.levelname == "CRITICAL" and "BROKEN invariants: two and two are five" in r.message for r in caplog.records)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("only", ["write", "sync"])
def test_failing_disk_is_reported_and_work_goes_on(code: int, only: str, until: Until) -> None:
    """Scenario 34: callers get `StoreUnavailable`, nothing acknowledged is lost, and the host need not restart."""
    disk = MemoryDisk()
    store = SegmentStore("/memory", disk=disk)
    system = perdure.System(store=store)
    handled: list[int] = []
    system.handler(Job)(lambda job: handled.append(job.number))
    acknowledged, refused = [], []
    with system:
        for n in range(30):
            if n in (5, 15):
                disk.faults = [Fault(1, code, part=20, times=3, only=only)]
            try:
                system.publish(Job(n))
                acknowledged.append(n)
            except perdure.StoreUnavailable:
                refused.append(n)
        disk.faults = []

        def works_again() -> bool:
            try:
                system.publish(Job(99), id="99")
            except perdure.StoreUnavailable:
                return False
            return True

        until(works_again)
        system.drain(timeout=20.0)
        assert refused or only == "sync"  # a voided publish is tried again before it is answered
        completed = {r.message_id for r in system.audit.events(type="Completed")}
        events = events_of(ev.Published, system.audit.events(type="Published"))
        published = {event.id: system.drafts.load(event).number for event in events}
        assert sorted(published.values()) == sorted([*acknowledged, 99])
        assert completed == set(published)
        assert set(handled) >= set(published.values())
        assert system.admin.metrics().runtime_counters["io_errors"] >= 1


DYING = """
import os, signal, sys, attrs, perdure
@perdure.message(name="held.Job")
@attrs.frozen
class Job:
    number: int
system = perdure.System(sys.argv[1])
@system.handler(Job, rate="1/h", parallelism=2)
def job(job, ctx):
    os.kill(os.getpid(), signal.SIGKILL)
@system.every(0.5, name="beat")
def beat(tick, ctx):
    pass
with system:
    system.publish_many([Job(1), Job(2)], group="g")
    import time
    time.sleep(60)
"""


def test_nothing_that_a_dead_process_held_blocks_anyone(folder: Path, tmp_path: Path, collected: Collected) -> None:
    """Scenario 55: lock, group, rate and tick of a killed process are free."""

    @perdure.message(name="held.Job")
    @attrs.frozen
    class Held:
        number: int

    script = tmp_path / "dying.py"
    script.write_text(DYING)
    died = run([str(script), str(folder)], timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    system = perdure.System(folder)
    system.handler(Held)(lambda message, ctx: collected.add(message.number))
    ticked = threading.Event()
    system.every(0.5, name="beat")(lambda tick, ctx: ticked.set())
    with system:
        assert collected.wait_for(2) == [1, 2]
        assert ticked.wait(10.0)
