"""When a worker reports that messages are done: together, a moment later, where nothing waits for it; else at once.

How outcomes are decided is in `tests/events/queue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.workers import worker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until

PREFETCH_MS = 10_000.0
"""So much that one slow call on a busy machine does not end the prefetch."""
TOO_LONG_S = 40.0
"""Longer than a test waits, and short enough for a stop that comes to it."""


@attrs.frozen
class Errand:
    """A message."""

    number: int


@attrs.frozen
class Invoice:
    """A message that a handler publishes."""

    number: int


@pytest.fixture(autouse=True)
def lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let completions wait for so long that a test which depends on them fails; a slow machine makes no handler a long one."""
    monkeypatch.setattr(worker, "LINGER_S", TOO_LONG_S)
    monkeypatch.setattr(worker, "LINGER_RUN_US", float("inf"))
    monkeypatch.setattr(worker, "REPORT_AFTER_S", float("inf"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": {"traceparent": "00-1-2-01"}},
        {"correlation_id": "chain"},
        {"priority": 3},
        {"ttl": 3600.0},
        {"subject": "Ada"},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
def test_completions_that_nothing_waits_for_are_recorded_together(
    folder: Path, collected: Collected, until: Until, options: dict[str, Any]
) -> None:
    system = perdure.System(folder, options=perdure.Options(prefetch_ms=PREFETCH_MS))

    @system.handler(Errand)
    def handle(errand: Errand) -> None:
        collected.add(errand.number)

    with system:
        pool = next(iter(system.runtime.pools.by_type.values()))
        system.publish(Errand(0))  # reported at once: how long its handler takes is not known yet
        until(lambda: pool.window > 1)
        for number in range(1, 6):
            system.publish(Errand(number), **options)
            collected.wait_for(number + 1, 20)
        system.publish(Errand(6), key="waited for")
        system.drain(20)
        done = [record.at for record in system.audit.events(type="Completed")]
    assert len(done) == 7
    assert len(set(done[1:])) == 1


@pytest.mark.parametrize(
    "options",
    [{"key": "k"}, {"key": "k", "dedup": "append"}, {"group": "g"}, {"keep_result": 60.0}],
    ids=str,
)
def test_what_may_be_waited_for_is_recorded_at_once(folder: Path, options: dict[str, Any]) -> None:
    system = perdure.System(folder)

    @system.handler(Errand)
    def handle(errand: Errand) -> None:
        pass

    with system:
        for number in range(3):
            system.publish(Errand(number), **options)
            system.drain(20)


def test_what_a_handler_publishes_is_recorded_at_once(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)

    @system.handler(Errand)
    def handle(errand: Errand, ctx: perdure.Context) -> None:
        ctx.publish(Invoice(errand.number), key="k")

    @system.handler(Invoice)
    def invoice(invoice: Invoice) -> None:
        collected.add(invoice.number)

    with system:
        for number in range(3):
            system.publish(Errand(number), headers={"a": "b"})
            collected.wait_for(number + 1, 20)
            system.drain(20)


@pytest.mark.parametrize(("limits", "options"), [({"limit": 1}, {}), ({"rate": "1000/s"}, {}), ({}, {"prefetch_max": 1})], ids=str)
def test_where_few_may_be_out_each_makes_room_at_once(
    folder: Path, collected: Collected, limits: dict[str, Any], options: dict[str, Any]
) -> None:
    system = perdure.System(folder, options=perdure.Options(**options))

    @system.handler(Errand, **limits)
    def handle(errand: Errand) -> None:
        collected.add(errand.number)

    with system:
        for number in range(10):
            system.publish(Errand(number))
        collected.wait_for(10, 20)
        system.publish(Errand(10), key="so that none lingers when the system stops")
        system.drain(20)
