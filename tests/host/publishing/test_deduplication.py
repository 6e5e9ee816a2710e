"""Deduplication through the front door: replace, reject, append, and publishing again under the same id.

The rules themselves are tested in tests/events.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.events import vocabulary as ev
from tests.programs import run
from tests.records import events_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Order:
    """A message."""

    name: str
    number: int = 0


def test_newer_takes_the_place_of_a_waiting_one(folder: Path, collected: Collected) -> None:
    """Scenario 3: the newer payload is handled, the older never; retries count from zero."""
    system = perdure.System(folder)

    @system.handler(Order, retries=1, backoff=perdure.Fixed(0.0))
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add((order.number, ctx.attempt))
        if order.number == 1:
            raise perdure.Retry(delay=3600)

    with system:
        old = system.publish(Order("a", 1), key="k")
        collected.wait_for(1)
        system.admin.pause(Order)
        new = system.publish(Order("a", 2), key="k")
        system.admin.resume(Order)
        system.drain(timeout=10)
        assert collected.items == [(1, 1), (2, 1)]
        assert system.admin.metrics().superseded == 1
        assert type(system.audit.timeline(old)[-1].event).__name__ == "Superseded"
        assert type(system.audit.timeline(new)[-1].event).__name__ == "Completed"


@pytest.mark.parametrize("older_fails", [True, False])
def test_newer_waits_for_the_one_in_flight(folder: Path, collected: Collected, until: Until, older_fails: bool) -> None:
    """Scenario 4: both end, never overlapping, the newer last; the older's failure is neither retried nor a dead letter."""
    system = perdure.System(folder)
    go = threading.Event()
    running = Counter[str]()

    @system.handler(Order, parallelism=2, retries=3, backoff=perdure.Fixed(0.0))
    def handle(order: Order, ctx: perdure.Context) -> None:
        running["now"] += 1
        collected.add(("begin", order.number, running["now"]))
        if order.number == 1:
            assert go.wait(10)
        running["now"] -= 1
        collected.add(("end", order.number, running["now"]))
        if older_fails and order.number == 1:
            msg = "the older fails"
            raise ValueError(msg)

    with system:
        older = system.publish(Order("a", 1), key="k")
        collected.wait_for(1)
        system.publish(Order("a", 2), key="k")
        until(lambda: system.admin.metrics().held == 1)
        go.set()
        system.drain(timeout=10)
        assert [item[:2] for item in collected.items] == [("begin", 1), ("end", 1), ("begin", 2), ("end", 2)]
        assert max(item[2] for item in collected.items) == 1
        assert system.dead_letters.list() == []
        story = [type(record.event).__name__ for record in system.audit.timeline(older)]
        assert story == ["Published", "Leased", *(("AttemptFailed", "Superseded") if older_fails else ("Completed",))]


def test_rejected_key_names_the_live_message(folder: Path) -> None:
    """Scenario 6: `DuplicateKey` names the live id; after completion the key is free."""
    system = perdure.System(folder)

    @system.handler(Order, dedup="reject")
    def handle(order: Order, ctx: perdure.Context) -> None: ...

    with system:
        system.admin.pause(Order)
        live = system.publish(Order("a", 1), key="k")
        with pytest.raises(perdure.DuplicateKey, match=live) as caught:
            system.publish(Order("a", 2), key="k")
        assert caught.value.live_id == live
        assert system.admin.metrics().published == 1
        system.admin.resume(Order)
        system.drain(timeout=10)
        assert system.publish(Order("a", 3), key="k") != live
        system.drain(timeout=10)
        assert system.admin.metrics().completed == 2


def test_appended_keys_are_only_labels(folder: Path, collected: Collected) -> None:
    """Scenario 6, the third policy: with `append` every message of a key is handled."""
    system = perdure.System(folder)

    @system.handler(Order, dedup="append")
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.number)

    with system:
        system.publish_many([Order("a", n) for n in range(3)], keys=["k"] * 3)
        system.drain(timeout=10)
    assert collected.items == [0, 1, 2]


def test_same_id_counts_once(folder: Path, collected: Collected) -> None:
    """Scenario 7: the id is returned and nothing is added, also after it completed and after a restart."""
    system = perdure.System(folder)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.number)

    for number in (1, 2):
        with system:
            for _ in range(2):
                assert system.publish(Order("a", number), id="mine") == "mine"
            system.drain(timeout=10)
            assert system.publish(Order("a", number), id="mine") == "mine"
            system.drain(timeout=10)
            assert system.admin.metrics().published == 1
    assert collected.items == [1]


CRASHING = '''
"""Publishes a message and a newer one with its key into argv[1] and dies; argv[2] says whether the first is in flight."""
import os, signal, sys, threading
import perdure

system = perdure.System(sys.argv[1])
begun = threading.Event()


@system.handler(dict)
def handle(message, ctx):
    begun.set()
    threading.Event().wait()


system.start()
if sys.argv[2] == "waiting":
    system.admin.pause(dict)
system.publish({"payload": "older"}, key="k")
if sys.argv[2] == "in flight":
    begun.wait()
system.publish({"payload": "newer"}, key="k")
os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.mark.parametrize("older", ["waiting", "in flight"])
def test_newer_payload_survives_a_crash(folder: Path, tmp_path: Path, collected: Collected, older: str) -> None:
    """Scenario 5: killed after the second publish, before any snapshot: only the newer payload is handled."""
    script = tmp_path / "crashing.py"
    script.write_text(CRASHING)
    command = [str(script), str(folder), older]
    died = run(command, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    system = perdure.System(folder)

    @system.handler(dict)
    def handle(message: dict[str, str], ctx: perdure.Context) -> None:
        collected.add((message["payload"], ctx.attempt))

    with system:
        system.admin.resume(dict)
        system.drain(timeout=10)
        assert collected.items == [("newer", 1)]
        assert system.admin.metrics().superseded == 1
        assert system.dead_letters.list() == []


def test_policies_of_a_handler_are_on_record(folder: Path) -> None:
    """All of them, so that the log says under which options a message was refused; a change is another event."""
    for window in (60.0, 60.0, 30.0):
        system = perdure.System(folder)
        system.handler(Order, dedup="reject", dedup_window=window)(lambda order, ctx: None)
        with system:
            pass
    registered = perdure.Audit(folder).events(type="HandlerRegistered")
    told = [event.more for event in events_of(ev.HandlerRegistered, registered)]
    assert told == [{"dedup_window_s": 60.0}, {"dedup_window_s": 30.0}]


def test_debounced_burst_outlives_a_restart_and_waits_for_the_one_in_flight(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """The last of a burst by key, though part of it came before a restart, and some while an older one was running."""
    with perdure.System(folder, clock=clock) as system:
        for number in range(3):
            system.publish(Order("A", number), key="A", debounce=5.0)
    system = perdure.System(folder, clock=clock)
    go_on = threading.Event()

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.number)
        assert go_on.wait(10.0)

    with system:
        clock.advance(4.0)
        system.publish(Order("A", 3), key="A", debounce=5.0)
        clock.advance(4.0)
        assert system.admin.metrics().delayed == 1
        clock.advance(1.0)
        assert collected.wait_for(1) == [3]
        for number in (4, 5):
            system.publish(Order("A", number), key="A", debounce=5.0)
        clock.advance(5.0)
        until(lambda: system.admin.metrics().held == 1)
        go_on.set()
        assert collected.wait_for(2) == [3, 5]
        system.drain(timeout=10.0)
        assert system.admin.metrics().superseded == 4


@attrs.frozen
class Job:
    number: int


def test_window_holds_a_key_after_completion_and_over_a_restart(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 6, the window: a completed message's key is refused until it is over, also after a restart."""

    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.handler(Job, dedup="reject", dedup_window=60.0)(lambda job, ctx: None)
        return system

    with make() as system:
        first = system.publish(Job(1), key="k")
        system.drain(timeout=10.0)
        with pytest.raises(perdure.DuplicateKey) as refused:
            system.publish(Job(2), key="k")
        assert refused.value.live_id == first
        system.publish(Job(3), key="other", dedup="append")
    with make() as system:
        clock.advance(59.0)
        with pytest.raises(perdure.DuplicateKey):
            system.publish(Job(2), key="k")
        clock.advance(2.0)
        system.publish(Job(2), key="k")
        system.drain(timeout=10.0)
        assert [event.key for event in events_of(ev.KeyFreed, system.audit.events(type="KeyFreed"))] == ["k"]


def test_policy_of_one_publish_wins_over_the_handlers(folder: Path) -> None:
    with perdure.System(folder) as system:
        first = system.publish(Job(1), key="k")
        with pytest.raises(perdure.DuplicateKey):
            system.publish(Job(2), key="k", dedup="reject")
        system.publish(Job(3), key="k", dedup="append")
        assert system.admin.metrics().ready == 2
        system.publish(Job(4), key="k")
        assert system.admin.metrics().superseded == 1
        assert system.audit.timeline(first)[-1].name == "Superseded"
        with pytest.raises(perdure.InvalidMessage, match="dedup"):
            system.publish(Job(5), dedup="reject")


def test_only_the_last_of_a_burst_is_handled(folder: Path, clock: perdure.ManualClock, collected: Collected) -> None:
    """`debounce`: each newer message of the key starts the wait anew."""
    system = perdure.System(folder, clock=clock)
    system.handler(Job)(lambda job: collected.add(job.number))
    with system:
        for n in range(5):
            system.publish(Job(n), key="doc", debounce=5.0)
            clock.advance(4.0)
        assert collected.items == []
        clock.advance(1.5)
        assert collected.wait_for(1) == [4]
        system.drain(timeout=10.0)
        assert system.admin.metrics().superseded == 4
        with pytest.raises(perdure.InvalidMessage, match="debounce"):
            system.publish(Job(1), debounce=5.0)
