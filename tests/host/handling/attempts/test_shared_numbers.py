"""No two runs of one message have one number, also where the attempts count from one again: each run's end counts for itself."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until

PATIENCE_S = 30.0


@perdure.message(name="numbers.Job")
@dataclass
class Job:
    number: int


def test_a_handler_that_timed_out_does_not_complete_the_replay_that_counts_from_zero(tmp_path: Path, until: Until) -> None:
    system = perdure.System(tmp_path)
    may_end = [threading.Event(), threading.Event()]
    runs: list[tuple[int, int]] = []

    @system.handler(Job, parallelism=2, timeout=0.05, retries=0)
    def job(_: Job, ctx: perdure.Context) -> None:
        mine = may_end[len(runs)]
        runs.append((ctx.attempt, ctx.fencing_token))
        while not mine.is_set():
            with contextlib.suppress(BaseException):  # it does not let itself be interrupted
                mine.wait(PATIENCE_S)

    with system:
        ident = system.publish(Job(1))
        until(system.dead_letters.list)
        system.admin.configure(Job, timeout=600)
        system.dead_letters.replay(ident)
        until(lambda: len(runs) == 2)
        assert runs == [(1, 1), (1, 2)], "it counts from zero, and its number is its own"
        may_end[0].set()
        until(lambda: system.audit.timeline(ident)[-1].name == "LateResultRefused")
        assert system.state(ident).status == "leased", "the first run's end is not the second one's"
        may_end[1].set()
        system.drain(PATIENCE_S)
        assert system.admin.metrics().completed == 1
        assert system.audit.timeline(ident)[-1].name == "Completed"
        assert system.state(ident).attempts == 1


def test_attempts_after_a_replay_are_counted_and_reported_from_one(tmp_path: Path, until: Until) -> None:
    waits: list[int] = []

    def backoff(attempt: int, _: BaseException) -> float:
        waits.append(attempt)
        return 0.0

    system = perdure.System(tmp_path)

    @system.handler(Job, retries=1, backoff=backoff)
    def job(_: Job, ctx: perdure.Context) -> None:
        raise LookupError(ctx.attempt)

    with system:
        ident = system.publish(Job(1))
        for attempts in (2, 2):
            until(system.dead_letters.list)
            (letter,) = system.dead_letters.list()
            assert letter.attempts == system.state(ident).attempts == attempts
            assert [failure.attempt for failure in letter.failures] == [1, 2]
            assert letter.reason.startswith("failed 2 times")
            system.dead_letters.replay(ident)
        system.drain(PATIENCE_S)
    assert waits == 3 * [1, 2]


def test_a_consumer_sees_which_attempt_it_is_and_has_a_token_that_grows_over_replays(tmp_path: Path) -> None:
    with perdure.System(tmp_path) as system:
        ident = system.publish(Job(1))
        tokens = []
        for _ in range(3):
            delivery = system.checkout(Job)
            assert delivery is not None
            assert delivery.attempt == 1
            tokens.append(delivery.fencing_token)
            delivery.reject("again")
            system.dead_letters.replay(ident)
        assert tokens == [1, 2, 3]
