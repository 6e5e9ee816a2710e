"""When an outbox is read again, and from which row."""

from __future__ import annotations

import pytest

from perdure.events.schedules.outbox_polling import OutboxPolling, pause_s


@pytest.mark.parametrize(
    ("every_s", "times", "seconds"),
    [(0.5, 1, 1.0), (0.5, 2, 2.0), (0.5, 5, 16.0), (0.5, 6, 30.0), (0.5, 5_000, 30.0), (60.0, 1, 30.0), (0.001, 5_000, 1.024)],
)
def test_pause_doubles_up_to_its_bound(every_s: float, times: int, seconds: float) -> None:
    assert pause_s(every_s, times) == seconds


def test_outbox_is_read_at_once_and_then_in_its_interval() -> None:
    polling = OutboxPolling()
    assert polling.is_due(0.0)
    assert polling.begin(100.0, 0.5) == 0
    assert not polling.is_due(100.4)
    assert polling.is_due(100.5)


def test_success_reads_on_at_once_and_forgets_failures() -> None:
    polling = OutboxPolling()
    polling.begin(100.0, 0.5)
    assert polling.fail(100.0, 0.5) == 1.0
    assert polling.fail(101.0, 0.5) == 2.0
    assert not polling.is_due(102.9)
    assert polling.is_due(103.0)
    polling.succeed()
    assert polling.is_due(0.0)
    assert polling.fail(200.0, 0.5) == 1.0


def test_reading_goes_on_behind_refused_rows_and_tries_them_again_later() -> None:
    polling = OutboxPolling()
    polling.begin(100.0, 0.5)
    polling.note_read(7)
    assert polling.refuse(100.0, 0.5), "the first since the first row"
    assert not polling.refuse(100.0, 0.5)
    assert polling.begin(100.9, 0.5) == 7
    polling.note_read(9)
    assert not polling.refuse(100.9, 0.5), "the pause does not begin again"
    assert polling.begin(100.95, 0.5) == 9
    assert polling.begin(101.0, 0.5) == 0, "all refused rows are tried again"
    polling.note_read(9)
    assert polling.refuse(101.0, 0.5)
    assert polling.retry_s == 103.0, "the pause has doubled"


def test_outbox_without_rows_ends_the_row_of_refusals() -> None:
    polling = OutboxPolling()
    polling.note_read(7)
    polling.refuse(100.0, 0.5)
    polling.begin(100.1, 0.5)
    polling.note_read(0)
    assert polling.refusals == 1, "nothing is behind the refused rows, which are still there"
    polling.begin(101.0, 0.5)
    polling.note_read(0)
    assert polling.refusals == 0
    polling.note_read(8)
    polling.refuse(102.0, 0.5)
    assert polling.retry_s == 103.0


def test_failure_tries_refused_rows_again_with_its_own() -> None:
    polling = OutboxPolling()
    polling.note_read(7)
    for _ in range(4):
        polling.after = 0
        polling.refuse(100.0, 0.5)
    assert polling.retry_s == 108.0
    polling.fail(100.0, 0.5)
    assert polling.next_s == polling.retry_s == 101.0
    assert polling.begin(101.0, 0.5) == 0
