"""A member that hung begins nothing whose lease has run out: another process may have got the message meanwhile."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import attrs
import msgspec
import pytest

import perdure
from perdure.actors.core.health import OwnersLife
from perdure.actors.core.messages import Outcomes
from perdure.actors.execution.invocation import Caller
from perdure.actors.members.member_roles import MemberWorker
from perdure.actors.services.runtime import HandlerRuntime
from perdure.actors.sessions.member_work.begin_marks import BeginMarks, MarkReader
from perdure.actors.workers.pools.pool import Pool, WorkerDelivery
from perdure.events.commands import Done, Release
from perdure.events.structures.message_block import LeaseBatch, MessageBlock

if TYPE_CHECKING:
    from pathlib import Path

NOW_US = 1_800_000_000_000_000


@perdure.message(name="late.Job")
@dataclass
class Job:
    number: int


class Member:
    """A worker of a member without the rest of it; `handled` is what its handler got."""

    def __init__(self, folder: Path, *, marks: BeginMarks | None) -> None:
        self.handled: list[int] = []
        clock = perdure.ManualClock(NOW_US)
        system = perdure.System(folder, clock=clock)

        @system.handler(Job)
        def job(message: Job) -> None:
            self.handled.append(message.number)

        self.runtime = HandlerRuntime(
            clock=clock,
            rng=random.Random(1),
            publisher=system.drafts,
            tuning=system.options,
            run="a run",
        )
        self.pool = Pool(system.inner.registered.specs["late.Job"])
        parts = (self.runtime.directory, self.runtime.worker_services)
        self.worker = MemberWorker(*parts, self.pool, "worker:late.Job:0", 1)
        self.worker.health = self.runtime.health
        if marks is not None:
            self.worker.mark = marks.mark
        self.worker.on_start()

    def get(self, number: int, until_us: int) -> None:
        """Deliver a plain message, and let the worker take its turn with it."""
        block = MessageBlock(number, "late.Job")
        payload = msgspec.msgpack.encode({"number": number})
        block.add(number, [f"id-{number}"], [payload], 0)
        lease = LeaseBatch(block, until_us, 5, False, block.numbers, 1)
        self.pool.deliver([WorkerDelivery(number, lease, payload)])
        self.worker.turn([self.pool.inbox.get()])

    def given_back(self) -> list[int]:
        outcomes = [request.command for request in self.runtime.pending.outstanding.values()]
        reports = [report for each in outcomes if isinstance(each, Outcomes) for report in each.reports]
        return [report.number for report in reports if isinstance(report, Release)]


@pytest.mark.parametrize("is_short", [False, True], ids=["an ordinary handler", "a short handler"])
@pytest.mark.parametrize("has_marks", [False, True], ids=["without marks", "with marks"])
def test_what_comes_after_its_lease_has_run_out_is_given_back_and_not_begun(
    tmp_path: Path, *, is_short: bool, has_marks: bool
) -> None:
    marks = BeginMarks() if has_marks else None
    member = Member(tmp_path, marks=marks)
    member.pool.run_us = 10.0 if is_short else 0.0
    member.get(9, NOW_US)
    member.get(10, NOW_US + 1)
    member.get(11, 0)
    assert member.handled == [10, 11], "of a lease with time left, and of one without an end"
    member.worker.turn([])
    assert member.given_back() == [9]
    if marks is not None:
        reader = MarkReader(os.dup(marks.fd))
        assert [reader.has_begun(number, 1) for number in (9, 10, 11)] == [False, True, True]
        reader.close()


@pytest.mark.parametrize("is_short", [False, True], ids=["an ordinary handler", "a short handler"])
def test_what_is_left_when_no_owner_answers_any_more_is_given_back_and_not_begun(tmp_path: Path, *, is_short: bool) -> None:
    """The next owner may have given it to another process while this one was stopped."""
    member = Member(tmp_path, marks=None)
    member.pool.run_us = 10.0 if is_short else 0.0
    owner = member.runtime.health.owner = OwnersLife()
    now_s = member.runtime.executor.monotonic_s()
    for number, until_s in ((9, now_s + 600.0), (10, now_s), (11, now_s + 600.0)):
        owner.until_s = until_s
        member.get(number, 0)
    assert member.handled == [9, 11]
    member.worker.turn([])
    assert member.given_back() == [10]


@pytest.mark.parametrize("begins", [False, True])
def test_a_process_that_takes_long_to_start_begins_nothing_that_was_given_to_others_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, begins: bool
) -> None:
    """This one may be stopped while it waits for the child of a process handler."""
    member = Member(tmp_path, marks=None)
    member.pool.handler = attrs.evolve(member.pool.handler, kind="process")
    owner = member.runtime.health.owner = OwnersLife(member.runtime.executor.monotonic_s() + 600.0)
    begun: list[int] = []

    class Child:
        def ensure_started(self) -> None:
            if not begins:
                owner.until_s = 0.0

    def attempt(delivery: WorkerDelivery) -> Done:
        begun.append(delivery.number)
        return Done(*delivery.attempt_ref)

    monkeypatch.setattr(Caller, "process", lambda _: Child())
    monkeypatch.setattr(member.worker, "_attempt", attempt)
    member.get(9, 0)
    assert begun == ([9] if begins else [])
    assert member.given_back() == ([] if begins else [9])
