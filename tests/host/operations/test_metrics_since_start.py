"""Counts of this run beside those of all runs, for a progress bar."""

from pathlib import Path

import attrs

import perdure


@perdure.message(name="tests.Row")
@attrs.frozen
class Row:
    n: int


def run(folder: Path, rows: range) -> tuple[perdure.Metrics, perdure.Metrics]:
    """Handle some rows; return the metrics before and after."""
    system = perdure.System(folder)

    @system.handler(Row)
    def take(row: Row) -> None:
        pass

    with system:
        before = system.admin.metrics()
        system.publish_many([Row(n) for n in rows])
        system.drain(timeout=30.0)
        return before, system.admin.metrics()


def test_counts_since_the_start_begin_with_zero_in_each_run(tmp_path: Path) -> None:
    run(tmp_path, range(5))
    before, after = run(tmp_path, range(3))
    assert before.since_start == perdure.Totals()
    assert (after.completed, after.since_start.completed) == (8, 3)
    assert (after.published, after.since_start.published) == (8, 3)


def test_counts_since_the_start_outlive_the_death_of_the_queue(tmp_path: Path) -> None:
    run(tmp_path, range(2))
    system = perdure.System(tmp_path)
    system.handler(Row)(lambda row: None)
    with system:
        system.publish(Row(1))
        system.drain(timeout=30.0)
        system.actors.kill("queue")
        assert system.admin.metrics().since_start.completed == 1
