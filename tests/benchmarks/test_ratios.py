"""A guard against a hot path that has become several times slower: ratios within one run, with margins that noise does not reach.

The targets are in benchmarks/; these margins are far below what docs/PERFORMANCE.md quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.loads import floors, publish, trips

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 0.2
ATTEMPTS = 6


def best_ratio(folder: Path, enough: float, load: Callable[[Path], float], floor: Callable[[Path], float]) -> float:
    """Measure load and floor repeatedly until one ratio is good enough, so that a busy moment does not fail the test."""
    best = 0.0
    for attempt in range(ATTEMPTS):
        beside = folder / f"floor-{attempt}"
        beside.mkdir()
        best = max(best, load(folder / f"load-{attempt}") / floor(beside))
        if best >= enough:
            break
    return best


def sync(folder: Path) -> float:
    return floors.bare_sync(folder, SECONDS)


def hand_off(_folder: Path) -> float:
    return floors.hand_off(SECONDS)


def one_by_one(folder: Path) -> float:
    return publish.one_by_one(folder, SECONDS)


MARGINS: dict[str, tuple[float, Callable[[Path], float], Callable[[Path], float]]] = {
    "one by one, of a bare synced write": (0.15, one_by_one, sync),
    "50 producers, of one": (1.5, lambda folder: publish.one_by_one(folder, SECONDS, producers=50), one_by_one),
    "pipelined, of a hand-off": (0.04, lambda folder: publish.pipelined(folder, SECONDS), hand_off),
    "batches of 500, of a hand-off": (0.2, lambda folder: publish.publish_batches(folder, SECONDS, 500), hand_off),
    "whole trip, of a hand-off": (0.08, lambda folder: trips.trip(folder, SECONDS, trips.batches_of(500)), hand_off),
}


@pytest.mark.parametrize("what", MARGINS)
def test_durable_message_costs_at_most_a_known_multiple_of_its_floor(what: str, tmp_path: Path) -> None:
    enough, load, floor = MARGINS[what]
    assert best_ratio(tmp_path, enough, load, floor) >= enough


def test_the_guard_can_fail(tmp_path: Path) -> None:
    slow = best_ratio(tmp_path, 0.9, lambda _: 1.0, lambda _: 2.0)
    assert slow == pytest.approx(0.5)
