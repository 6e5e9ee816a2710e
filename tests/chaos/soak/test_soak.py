"""Scenario 50: a short soak passes, and a leak or a lost message makes it fail. `perdure soak --hours 24` runs for hours."""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import pytest

from perdure.chaos.soak.readings import growth_of
from perdure.chaos.soak.soak import Seen, Soak
from perdure.chaos.soak.trend import trend

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long(seconds=60)
def test_soak(tmp_path: Path) -> None:
    """A minute in CI, 15 seconds on a developer's machine; PERDURE_SOAK_S sets another time."""
    seconds = float(os.environ.get("PERDURE_SOAK_S", "60" if os.environ.get("CI") else "15"))
    soak = Soak(tmp_path / "data", seconds, interval_s=seconds / 15, seed=3, table=tmp_path / "soak.csv")
    assert soak.run() == []
    with (tmp_path / "soak.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(soak.readings) >= 10
    last = soak.readings[-1]
    assert (last.waiting, last.published) == (0, last.completed + last.dead_lettered - last.replayed)
    assert int(rows[-1]["published"]) == last.published > 100
    assert last.kills > 2
    assert min(last.dead_letters, last.replayed, last.purged, last.snapshots) > 0
    assert last.segments_retired > 0, "no segment was retired"


@pytest.mark.long
def test_soak_finds_a_leak_and_a_lost_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaked: list[BinaryIO] = []
    kept: list[object] = [bytearray(512 << 20)]  # a leak is found beside memory that the process already has
    add = Seen.add
    monkeypatch.setattr(Seen, "add", lambda seen, number: None if number == 7 else add(seen, number))
    soak = Soak(tmp_path / "data", 120.0, interval_s=0.3, history="keep")

    def leak(_: object) -> None:
        if len(soak.readings) >= 14:
            soak.seconds = 0.0  # enough readings to judge
        leaked.extend((tmp_path / "leak").open("wb") for _ in range(3))
        kept.extend(([object() for _ in range(20_000)], bytearray(1 << 20)))

    soak.on_reading = leak
    try:
        problems = soak.run()
    finally:
        for file in leaked:
            file.close()
    assert [text.partition(" ")[0] for text in problems] == ["published", "blocks", "native_mib", "files"], problems
    assert "never seen" in problems[0]
    assert growth_of(soak.readings, "threads") is None


def test_numbers_seen_out_of_order_take_no_memory() -> None:
    seen = Seen()
    numbers = [*range(1, 500), *range(1, 500, 3)]
    random.Random(1).shuffle(numbers)
    for number in numbers:
        seen.add(number)
    assert (seen.floor, seen.beyond) == (499, set())


Series = dict[str, Callable[[float, random.Random], float]]
SERIES: Series = {
    "flat": lambda n, rng: 100.0,
    "noisy": lambda n, rng: 100 + rng.gauss(0, 10),
    "sawtooth": lambda n, rng: 100 + n * 7 % 40,
    "spikes": lambda n, rng: 100 + (500 if n % 13 == 12 else 0),
    "falling": lambda n, rng: 300 - n * 2,
    "within bounds": lambda n, rng: 100 + n * 0.1,
}
LEAKS: Series = {
    "leak": lambda n, rng: 100 + n * 0.5,
    "leak in noise": lambda n, rng: 100 + n * 0.8 + rng.gauss(0, 10),
    "leaking sawtooth": lambda n, rng: 100 + n * 7 % 40 + n * 0.8,
    "steps": lambda n, rng: 100 + n // 15 * 15,
}


@pytest.mark.parametrize("n", [30, 60, 2_000])
@pytest.mark.parametrize("name", [*SERIES, *LEAKS])
def test_a_leak_is_distinguished_from_noise(name: str, n: int) -> None:
    rng = random.Random(4)
    series = (SERIES | LEAKS)[name]
    times = [600.0 * i / n for i in range(n)]
    found = trend(times, [series(i * 60 / n, rng) for i in range(n)])
    assert found is not None
    assert found.grows(15.0) == (name in LEAKS), found


def test_few_readings_have_no_trend() -> None:
    assert trend([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]) is None
