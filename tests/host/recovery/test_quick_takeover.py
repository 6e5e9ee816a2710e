"""`Options.quick_takeover`: the next owner of a folder reads little of the log. How long that takes is for `benchmarks`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until


@perdure.message(name="takeover.Job")
@attrs.frozen
class Job:
    number: int


def test_the_next_owner_reads_only_what_came_after_a_recent_snapshot(tmp_path: Path, until: Until) -> None:
    system = perdure.System(tmp_path / "data", options=perdure.Options.quick_takeover())
    with system:
        for _ in range(6):
            system.publish_many([Job(i) for i in range(10_000)])
        until(lambda: system.admin.metrics().runtime_counters.get("snapshots"))
        shutil.copytree(tmp_path / "data", tmp_path / "after a crash")

    with perdure.System(tmp_path / "after a crash") as next_owner:
        recovery = next_owner.recovery
        assert recovery is not None
        assert recovery.waiting == 60_000
        assert recovery.events_replayed <= 50_000


def test_others_may_be_given_too() -> None:
    options = perdure.Options.quick_takeover(snapshot_events=9_000, retries=7)

    assert (options.snapshot_events, options.retries) == (9_000, 7)
    assert options.segment_bytes < perdure.Options().segment_bytes


def test_a_wrong_option_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="retries must be a whole number >= 0, not -1"):
        perdure.Options.quick_takeover(retries=-1)
