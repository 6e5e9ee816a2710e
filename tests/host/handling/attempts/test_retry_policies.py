"""Which failures are tried again: by exception type, and for ever.

Backoffs that are refused are in `test_backoffs`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected


@attrs.frozen
class Job:
    number: int
    how: str = ""


class Transient(Exception):
    pass


def test_retry_policy_by_exception(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)

    @system.handler(
        Job, retries=5, backoff=lambda attempt, error: 0.001 * attempt, retry_on=(Transient, KeyError), dead_letter_on=KeyError
    )
    def picky(job: Job, ctx: perdure.Context) -> None:
        collected.add((job.how, ctx.attempt))
        if job.how == "transient" and ctx.attempt < 3:
            raise Transient
        if job.how == "key":
            raise KeyError(job.number)
        if job.how == "value":
            raise ValueError(job.number)

    with system:
        system.publish_many([Job(1, "transient"), Job(2, "key"), Job(3, "value")])
        system.drain(timeout=10.0)
        assert collected.items.count(("transient", 3)) == 1
        reasons = {letter.message.how: letter.reason for letter in system.dead_letters.list()}
        assert reasons == {"key": "KeyError is one of dead_letter_on: 2", "value": "ValueError is none of retry_on: 3"}
        assert all(letter.attempts == 1 for letter in system.dead_letters.list())


def test_retries_for_ever(folder: Path) -> None:
    system = perdure.System(folder, options=perdure.Options(retries=1))

    @system.handler(Job, retries=math.inf, backoff=0)
    def stubborn(job: Job, ctx: perdure.Context) -> int:
        if ctx.attempt < 40:
            raise Transient
        return ctx.attempt

    with system:
        assert system.call(Job(1), timeout=20.0) == 40
