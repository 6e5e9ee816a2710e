"""Scenario 50: soak, in its short form; hours are `perdure chaos soak --hours 24`."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from perdure.chaos.soak import Soak

if TYPE_CHECKING:
    from pathlib import Path


def test_soak(tmp_path: Path) -> None:
    seconds = float(os.environ.get("PERDURE_SOAK_S", "12"))
    soak = Soak(tmp_path / "data", seconds, interval_s=seconds / 6, seed=3, table=tmp_path / "soak.csv")
    assert soak.run() == []
    with (tmp_path / "soak.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(soak.readings) >= 6
    last = soak.readings[-1]
    assert (last.waiting, last.published) == (0, last.completed + last.dead_letters)
    assert last.kills > 2
    assert last.dead_letters > 0
