"""A reader sees the attempt that the handler saw, also where numbers were used up that do not count."""

from __future__ import annotations

import attrs
from rich.console import Console

import perdure
from perdure.chaos import SimulatedSystem
from perdure.cli.look.folder_report import record_row, timeline_report
from perdure.operations.reading.attempt_counts import AttemptCounts


@perdure.message(name="attempt_counts.Job")
@attrs.frozen
class Job:
    number: int


def test_what_was_given_back_is_not_counted_in_a_timeline() -> None:
    system = SimulatedSystem(seed=1)
    seen: list[tuple[int, int]] = []

    @system.handler(Job, retries=0)
    def work(_: Job, ctx: perdure.Context) -> None:
        seen.append((ctx.attempt, ctx.fencing_token))
        raise ValueError("no")

    with system:
        system.publish(Job(1), id="j1")
        system.drain(timeout=60.0)
        system.dead_letters.replay("j1")
        system.drain(timeout=60.0)
        records = system.audit.timeline("j1")
    assert seen == [(1, 1), (1, 2)]
    counts = AttemptCounts(records)
    failed = [record for record in records if record.name == "AttemptFailed"]
    assert [counts.of(record) for record in failed] == [1, 1]
    assert [record_row(record)["attempt"] for record in failed] == [1, 2], "the number on record"
    console = Console(width=200, record=True, quiet=False)
    with console.capture() as shown:
        console.print(timeline_report("j1", records))
    lines = [line for line in shown.get().splitlines() if "AttemptFailed" in line]
    assert ["attempt 1," in line for line in lines] == [True, True]
