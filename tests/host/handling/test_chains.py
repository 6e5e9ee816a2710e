"""What handlers publish: chains with their correlation and causation, and one commit with the completion.

Crashes around that commit are in tests/chaos.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected

SECOND_US = 1_000_000


@attrs.frozen
class Job:
    """A message."""

    name: str


@attrs.frozen
class Chore:
    """A message."""

    name: str


@attrs.frozen
class Validate:
    """A message."""

    order: str


@attrs.frozen
class Pay:
    """A message."""

    order: str


@attrs.frozen
class Fulfil:
    """A message."""

    order: str


def test_chain_of_three_steps(folder: Path, collected: Collected) -> None:
    """Scenario 18: one correlation id, causation ids in line, a dedup key for each step."""
    system = perdure.System(folder)

    def note(ctx: perdure.Context) -> None:
        collected.add((ctx.id, ctx.causation_id, ctx.correlation_id, ctx.key))

    @system.handler(Validate)
    def validate(step: Validate, ctx: perdure.Context) -> None:
        note(ctx)
        ctx.publish(Pay(step.order), key=f"pay-{step.order}")

    @system.handler(Pay)
    def pay(step: Pay, ctx: perdure.Context) -> None:
        note(ctx)
        ctx.publish(Fulfil(step.order), key=f"fulfil-{step.order}")

    @system.handler(Fulfil)
    def fulfil(step: Fulfil, ctx: perdure.Context) -> None:
        note(ctx)

    with system:
        first = system.publish(Validate("7"), key="validate-7", correlation_id="req-7")
        system.drain(timeout=10)
    steps = collected.items
    assert [step[3] for step in steps] == ["validate-7", "pay-7", "fulfil-7"]
    assert {step[2] for step in steps} == {"req-7"}
    assert [step[1] for step in steps] == [None, first, steps[1][0]]


def test_what_a_failed_handler_published_does_not_exist(folder: Path, collected: Collected) -> None:
    """Scenario 19: a handler that publishes two messages and then raises: neither exists."""
    system = perdure.System(folder)

    @system.handler(Job, retries=1, backoff=perdure.Fixed(0.0))
    def handle(job: Job, ctx: perdure.Context) -> None:
        for n in range(2):
            collected.add(ctx.publish(Chore(f"{n} of attempt {ctx.attempt}")))
        if ctx.attempt == 1:
            raise ValueError("after publishing")

    with system:
        system.publish(Job("a"))
        # Chore has no handler, so the queue does not drain: what there is can be taken by hand.
        collected.wait_for(4)
        names = [self_acked(system) for _ in range(2)]
        assert names == ["0 of attempt 2", "1 of attempt 2"]
        assert system.checkout(Chore) is None
        assert system.admin.metrics().published == 3


def self_acked(system: perdure.System) -> str:
    """Take the next chore by hand, once there is one, and settle it."""
    deadline = time.monotonic() + 10
    while (delivery := system.checkout(Chore)) is None:
        assert time.monotonic() < deadline
    delivery.ack()
    name: str = delivery.message.name
    return name


def test_completion_and_its_messages_share_a_frame(folder: Path, collected: Collected) -> None:
    """Scenario 19: one that publishes and completes is recorded with both or neither: they are in one commit."""
    system = perdure.System(folder)

    @system.handler(Job)
    def handle(job: Job, ctx: perdure.Context) -> None:
        for n in range(2):
            ctx.publish(Chore(str(n)))

    with system:
        ident = system.publish(Job("a"))
        for _ in range(2):
            self_acked(system)
        story = system.audit.timeline(ident)
        assert [type(record.event).__name__ for record in story][2:5] == ["Published", "Published", "Completed"]
        frames = [range(f.first_seq, f.last_seq + 1) for f in system._store.frames()]
        homes = {next(i for i, frame in enumerate(frames) if record.seq in frame) for record in story[2:5]}
        assert len(homes) == 1
