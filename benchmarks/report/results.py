"""The newest report of each group, as JSON in docs/performance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.figure import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FOLDER", "keep", "load"]

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "performance"


def keep(reports: Mapping[str, Report]) -> None:
    """Write each report over its group's last one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for group, report in reports.items():
        (FOLDER / f"{group}.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def load() -> dict[str, Report]:
    """Return all kept reports, by group."""
    reports = [msgspec.json.decode(file.read_bytes(), type=Report) for file in sorted(FOLDER.glob("*.json"))]
    return {report.group: report for report in reports}
