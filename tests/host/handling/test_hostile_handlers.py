"""Exceptions, leases and delays that no log can hold: they affect at most the message of that handler or consumer.

Input that publishers give is in `test_bad_input`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Note:
    """A message."""

    text: str


class Silent(Exception):
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("lone surrogate \ud800"),
        ValueError("x" * 3_000_000),
        Silent(),
        perdure.Reject("\udfff"),
        perdure.Reject(7),  # type: ignore[arg-type]
    ],
)
def test_no_text_of_an_exception_stops_the_journal(folder: Path, error: Exception) -> None:
    """A message with any such exception becomes a dead letter, and the system goes on, also after a restart."""
    system = perdure.System(folder)

    @system.handler(Note, retries=0)
    def handle(note: Note, ctx: perdure.Context) -> None:
        raise error

    with system:
        system.publish(Note("a"))
        system.drain(timeout=10)
        assert system.admin.metrics().runtime_counters == {}
    with system:
        (letter,) = system.dead_letters.list()
        assert len(letter.error) <= 4_000
        assert isinstance(letter.reason, str)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e300])
def test_impossible_waits(folder: Path, seconds: float) -> None:
    """Leases and delays that no log can hold are refused in the call."""
    with perdure.System(folder) as system:
        system.publish(Note("a"))
        with pytest.raises(ValueError, match="lease"):
            system.checkout(Note, lease=seconds)
        delivery = system.checkout(Note)
        assert delivery is not None
        with pytest.raises(ValueError, match="lease"):
            delivery.extend(seconds)
        if seconds != 0:
            with pytest.raises(ValueError, match="delay"):
                perdure.Retry(delay=seconds)
        delivery.heartbeat(10, "\ud800")
        delivery.requeue("\ud800" * 10)
        assert system.admin.metrics().runtime_counters == {}


@pytest.mark.parametrize("backoff", [perdure.Fixed(1e300), perdure.Exponential(1e200, maximum=1e300)])
def test_backoff_longer_than_time(folder: Path, until: Until, backoff: perdure.Backoff) -> None:
    """A backoff of more than a hundred years waits for a hundred years."""
    system = perdure.System(folder)

    @system.handler(Note, backoff=backoff)
    def handle(note: Note, ctx: perdure.Context) -> None:
        raise ValueError("later")

    with system:
        system.publish(Note("a"))
        until(lambda: system.admin.metrics().delayed == 1)
        assert system.admin.metrics().runtime_counters == {}


def test_backoff_that_fails(folder: Path, until: Until, clock: perdure.ManualClock) -> None:
    """A message whose own backoff raises is tried again."""

    class Broken:
        def delay(self, attempt: int, rng: float) -> float:
            raise ZeroDivisionError

    system = perdure.System(folder, clock=clock)

    @system.handler(Note, retries=1, backoff=Broken())
    def handle(note: Note, ctx: perdure.Context) -> None:
        raise ValueError("always")

    with system:
        system.publish(Note("a"))
        until(lambda: system.admin.metrics().delayed == 1)
        clock.advance(1)
        system.drain(timeout=10)
        (letter,) = system.dead_letters.list()
        assert (letter.exception, letter.attempts) == ("ValueError", 2)
        assert system.admin.metrics().runtime_counters == {}
