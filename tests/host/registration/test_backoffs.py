"""Backoffs: what says no time to wait is refused where it stands, or told where it is computed; operators' options stay.

The shapes of `Fixed`, `Linear` and `Exponential` are in tests/events/handlers/test_backoff.py.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Job:
    """A message."""

    number: int


class Unnamed:
    """A backoff whose repr is Python's own, with its address."""

    def delay(self, attempt: int, rng: float) -> float:
        return 0.0


def _wait(seconds: float, attempt: int, error: BaseException) -> float:
    return seconds


@pytest.mark.parametrize("make", [perdure.Fixed, perdure.Linear, perdure.Exponential])
@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf, -math.inf, True, "5", None, 10**400, dt.timedelta(-1)])
def test_constants_that_are_no_time_are_refused(make: Callable[[Any], Any], wrong: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"seconds|first"):
        make(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"maximum": math.inf},
        {"maximum": math.nan},
        {"factor": math.nan},
        {"factor": math.inf},
        {"factor": 0.5},
        {"factor": True},
        {"factor": "2"},
        {"jitter": math.nan},
        {"jitter": 1.5},
        {"jitter": True},
    ],
)
def test_parts_of_a_backoff_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(perdure.InvalidMessage, match=next(iter(options))):
        perdure.Exponential(1.0, **options)


async def _coroutine(attempt: int, error: BaseException) -> float:
    return 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        -1,
        math.nan,
        math.inf,
        True,
        "5",
        None,
        object(),
        perdure.Exponential,
        Unnamed,
        _coroutine,
        lambda: 1.0,
        lambda attempt: 1.0,
        lambda attempt, error, more: 1.0,
    ],
)
def test_backoff_that_could_give_no_time_is_refused_at_registration(folder: Path, wrong: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="backoff"):
        perdure.System(folder).handler(Job, backoff=wrong)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, None, "soon", True, 1j, [1]])
def test_invalid_delay_of_a_backoff_is_logged_and_waits_one_second(
    folder: Path, clock: perdure.ManualClock, until: Until, caplog: pytest.LogCaptureFixture, seconds: Any
) -> None:
    system = perdure.System(folder, clock=clock, options=perdure.Options(log_failures=None))

    @system.handler(Job, retries=1, backoff=lambda attempt, error: seconds)
    def fail(job: Job) -> None:
        raise LookupError

    with system:
        system.publish(Job(1))
        until(lambda: system.admin.metrics().delayed == 1)
        clock.advance(1.0)
        system.drain(timeout=10.0)
    assert any("backoff of" in r.getMessage() and r.levelno == logging.ERROR for r in caplog.records)


@pytest.mark.parametrize("seconds", [dt.timedelta(seconds=5), Decimal(5), 5])
@pytest.mark.parametrize("computed", [True, False])
def test_lengths_of_time(folder: Path, clock: perdure.ManualClock, until: Until, seconds: Any, computed: bool) -> None:
    if isinstance(seconds, Decimal) and not computed:
        seconds = perdure.Fixed(dt.timedelta(seconds=5))
    system = perdure.System(folder, clock=clock)

    @system.handler(Job, retries=1, backoff=(lambda attempt, error: seconds) if computed else seconds)
    def fail(job: Job) -> None:
        raise LookupError

    with system:
        ident = system.publish(Job(1))
        until(lambda: system.admin.metrics().delayed == 1)
        (failed,) = [r for r in system.audit.timeline(ident) if r.name == "AttemptFailed"]
        assert getattr(failed.event, "due_us", 0) - round(failed.at.timestamp() * 1_000_000) == 5_000_000


def test_factor_that_overflows_stays_at_its_maximum(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    backoff = perdure.Exponential(1.0, factor=1e308)
    assert [backoff.delay(attempt, 0.0) for attempt in (1, 2, 3, 10_000)] == [1.0, 300.0, 300.0, 300.0]
    assert perdure.Exponential(0.0, factor=1e308).delay(10, 0.0) == 0.0
    assert perdure.Linear(1e308, step=1e308, maximum=5.0).delay(10, 0.0) == 5.0
    assert perdure.Exponential(5e-324).delay(10_000, 0.0) == 300.0


@pytest.mark.parametrize("make", [Unnamed, lambda: functools.partial(_wait, 0.0), lambda: lambda attempt, error: 0.0])
def test_operators_options_outlive_a_backoff_with_an_address_in_its_repr(folder: Path, make: Callable[[], Any]) -> None:
    for run in range(3):
        system = perdure.System(folder)
        system.handler(Job, retries=5, backoff=make())(lambda job: None)
        with system:
            if not run:
                system.admin.configure(Job, retries=1)
                system.admin.scale(Job, 3)
            spec = next(iter(system.runtime.pools.by_type.values())).handler
            assert spec.retries == 1
            assert next(iter(system.admin.handlers().values())).workers == 3
    records = [r for r in perdure.Audit(folder).events() if r.name == "HandlerRegistered"]
    assert len(records) == 1


def test_operators_options_outlive_other_changes_of_the_code(folder: Path) -> None:
    """Each option that an operator set stays until the code asks for another value of that very option."""

    def retries_and_timeout(**options: Any) -> tuple[int, float | None]:
        system = perdure.System(folder)
        system.handler(Job, **options)(lambda job: None)
        with system:
            if "backoff" not in options:
                system.admin.configure(Job, retries=1, timeout=9.0)
            spec = next(iter(system.runtime.pools.by_type.values())).handler
            return spec.retries, spec.timeout_s

    assert retries_and_timeout(retries=5) == (1, 9.0)
    assert retries_and_timeout(retries=5, backoff=3) == (1, 9.0)
    assert retries_and_timeout(retries=5, backoff=3, timeout=20.0) == (1, 20.0)
    assert retries_and_timeout(retries=4, backoff=3, timeout=20.0) == (4, 20.0)
