"""The group `console`: it makes a queue with all kinds of messages, times each page of it, and a trip beside an open page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import folders
from benchmarks.console import loads
from benchmarks.load import Prepared

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long(seconds=8)


def test_every_page_of_a_big_queue_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "TURNS", 2)
    folders.make(Prepared("console", 3_000), tmp_path / "big")
    first, p95, slowest, worst, past = loads.pages(tmp_path / "big")
    assert 0 < p95 <= slowest
    assert 0 < worst <= slowest
    assert min(first, past) > 0


def test_a_trip_beside_an_open_page_is_compared_with_one_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "PAIRS", 1)
    rate, effort = loads.open_page(tmp_path, 0.5)
    assert rate > 0
    assert effort > 0
