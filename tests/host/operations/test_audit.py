"""The audit through the front door: timelines, past states, verification, reading beside a live writer.

How damaged folders are read is in tests/store.
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store.format import frame as fr
from tests.host.operations.metric_counts import counts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Task:
    """A message."""

    number: int


@attrs.frozen
class Child:
    """A message."""

    number: int


def kinds(records: list[perdure.Record]) -> list[str]:
    return [type(record.event).__name__ for record in records]


def test_timeline_has_all_events_of_a_message(folder: Path) -> None:
    """Scenario 45: events are in order, across restarts, with messages that it caused; `perdure.Audit` returns the same."""
    system = perdure.System(folder)
    healed = threading.Event()

    @system.handler(Task, retries=0)
    def handle(task: Task, ctx: perdure.Context) -> None:
        if not healed.is_set():
            raise ValueError("not yet")
        ctx.publish(Child(task.number))

    with system:
        ident = system.publish(Task(1))
        system.publish(Task(2))
        system.drain(timeout=10)
    healed.set()
    with system:
        system.dead_letters.replay(ident)
        delivery = None
        deadline = time.monotonic() + 10
        while delivery is None and time.monotonic() < deadline:
            delivery = system.checkout(Child)
        assert delivery is not None
        delivery.ack()
        story = system.audit.timeline(ident)
        live = (kinds(story), [record.seq for record in story])
    assert kinds(story) == [
        "Published",
        "Leased",
        "AttemptFailed",
        "DeadLettered",
        "Replayed",
        "Leased",
        "Published",  # the child
        "Completed",
    ]
    assert story[6].message_id == delivery.id
    assert [record.seq for record in story] == sorted({record.seq for record in story})
    assert all(before.at <= after.at for before, after in itertools.pairwise(story))
    assert {record.actor for record in story} == {"queue"}
    again = perdure.Audit(folder).timeline(ident)
    assert (kinds(again), [record.seq for record in again]) == live
    with pytest.raises(perdure.UnknownMessage, match="nobody"):
        perdure.Audit(folder).timeline("nobody")


def test_timeline_has_the_window_and_the_result_of_an_ended_message(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    """Scenario 45: the timeline has its window, its result and their ends; metrics count both, live and in the past (46)."""
    system = perdure.System(folder, clock=clock)
    system.handler(Task, dedup="reject", dedup_window=10.0)(lambda task, ctx: task.number)
    with system:
        ident = system.publish(Task(7), key="k", keep_result=5.0)
        assert system.result(ident, timeout=10.0) == 7
    with system:
        kept = system.admin.metrics()
        assert (kept.keys_held, kept.results_kept) == (1, 1)
        assert system.audit.state_at(kept.seq) == kept
        clock.advance(11.0)
        until(lambda: system.admin.metrics().keys_held == 0)
        assert system.admin.metrics().results_kept == 0
    output = [record.name for record in perdure.Audit(folder).timeline(ident)]
    assert output == ["Published", "Leased", "Completed", "KeyHeld", "ResultKept", "ResultDropped", "KeyFreed"]


def test_events_by_type_time_and_message(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 45: events can be queried by sequence number, time, event class, message type and message."""
    with perdure.System(folder, clock=clock) as system:
        first = system.publish(Task(1))
        clock.advance(10)
        noon = dt.datetime.fromtimestamp(clock.now_us() / 1_000_000, tz=dt.UTC)
        second = system.publish(Child(2))
        delivery = system.checkout(Child)
        assert delivery is not None
        delivery.ack()
        audit = system.audit
        everything = list(audit.events())
        assert [record.seq for record in everything] == list(range(1, len(everything) + 1))
        assert [r.message_id for r in audit.events(type="Published")] == [first, second]
        assert [r.message_id for r in audit.events(type=Task)] == [first]
        assert kinds(list(audit.events(message_id=second))) == ["Published", "Leased", "Completed"]
        assert kinds(list(audit.events(since=noon))) == ["Published", "Leased", "Completed"]
        assert kinds(list(audit.events(until=noon - dt.timedelta(seconds=1), type=Task))) == ["Published"]
        assert [r.seq for r in audit.events(since=2, until=3)] == [2, 3]


def test_past_states_equal_what_metrics_showed(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 46: `state_at(seq)` and `state_at(time)` equal what live metrics showed then, with snapshots in between."""
    system = perdure.System(folder, clock=clock)

    @system.handler(Task, retries=1, backoff=perdure.Fixed(5.0))
    def handle(task: Task, ctx: perdure.Context) -> None:
        if task.number % 3 == 0:
            raise ValueError("always")

    shown: list[tuple[float, perdure.Metrics]] = []
    with system:
        for n in range(12):
            system.publish(Task(n))
            system.publish(Child(n), delay=30 if n % 2 else None)
            while system.admin.metrics().in_flight or any(i.ready for i in system.admin.handlers().values()):
                pass
            # Quiet: with this clock, nothing happens until it is moved.
            shown.append((clock.now_us() / 1_000_000, system.admin.metrics()))
            if n % 4 == 0:
                system.admin.snapshot()
            clock.advance(3)
        for at, metrics in shown:
            for past in (system.audit.state_at(metrics.seq), system.audit.state_at(at)):
                assert counts(past) == counts(metrics)
                assert past.payload_bytes == metrics.payload_bytes
    for at, metrics in shown:
        for past in (perdure.Audit(folder).state_at(metrics.seq), perdure.Audit(folder).state_at(at)):
            assert counts(past) == counts(metrics)


@pytest.mark.long(seconds=3)
def test_verify_finds_each_changed_byte(folder: Path) -> None:
    """Scenario 47: any single changed byte of the log is found, and its file named; an unchanged log has no findings."""
    with perdure.System(folder) as system:
        for n in range(5):
            system.publish(Task(n))
        assert system.audit.verify().findings == []
    whole = perdure.Audit(folder).verify()
    assert whole.ok
    assert whole.events == whole.last_seq
    (segment,) = folder.glob("log-*.seg")
    good = segment.read_bytes()
    for offset in range(len(good)):
        bad = bytearray(good)
        bad[offset] ^= 0x10
        segment.write_bytes(bytes(bad))
        found = perdure.Audit(folder).verify()
        assert not found.ok, offset
        assert segment.name in found.findings[0].file
    segment.write_bytes(good)
    assert perdure.Audit(folder).verify().ok


def test_verify_finds_removed_and_swapped_frames(folder: Path) -> None:
    """Scenario 47: a frame that was removed or swapped with its neighbour is found."""
    with perdure.System(folder) as system:
        for n in range(6):
            system.publish(Task(n))
    (segment,) = folder.glob("log-*.seg")
    good = segment.read_bytes()
    starts = [at for at in range(len(good)) if good.startswith(fr.MAGIC, at)]
    assert len(starts) > 6
    head, frames = good[: starts[0]], [good[a:b] for a, b in itertools.pairwise([*starts, len(good)])]
    for i in range(len(frames) - 1):
        removed = [*frames[:i], *frames[i + 1 :]]
        swapped = [*frames[:i], frames[i + 1], frames[i], *frames[i + 2 :]]
        for edited in (removed, swapped):
            segment.write_bytes(head + b"".join(edited))
            assert not perdure.Audit(folder).verify().ok, i
    segment.write_bytes(good)
    assert perdure.Audit(folder).verify().ok


def test_audit_beside_a_live_writer(folder: Path) -> None:
    """Scenario 48: audit reads a consistent prefix, takes no lock, and does not disturb the writer."""
    stop = threading.Event()
    ids: list[str] = []

    with perdure.System(folder) as system:

        def write() -> None:
            while not stop.is_set():
                ids.append(system.publish(Task(len(ids))))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            last = 0
            for _ in range(20):
                acknowledged = len(ids)
                records = list(perdure.Audit(folder).events())
                assert [record.seq for record in records] == list(range(1, len(records) + 1))
                published = [record.message_id for record in records if type(record.event).__name__ == "Published"]
                assert published[:acknowledged] == ids[:acknowledged]
                assert len(records) >= last
                last = len(records)
        finally:
            stop.set()
            writer.join()
        assert system.admin.metrics().published == len(ids) > 0
    assert perdure.Audit(folder).verify().ok
