"""The group `telemetry`: each kind makes its trips, and gives two ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.telemetry import traced_loads

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", traced_loads.KINDS)
def test_each_kind_of_telemetry_is_compared_with_none(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traced_loads, "PAIRS", 1)
    rate, effort = traced_loads.ratios(tmp_path, 0.02, 100, traced_loads.KINDS[kind])
    assert rate > 0
    assert effort > 0
