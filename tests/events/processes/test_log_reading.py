"""How long a request waits for an owner that reads its log."""

from __future__ import annotations

import math

from perdure.events.processes.log_reading import Reading, UnlessTold, is_news, waits_until


def test_the_word_of_an_owner_that_reads_its_log_counts_where_no_caller_has_chosen_a_time() -> None:
    assert waits_until(1.0, 2.0, 7.0, UnlessTold(10.0)) == 17.0
    assert waits_until(1.0, 2.0, 7.0, 10.0) == 12.0
    assert waits_until(8.0, 2.0, 7.0, 10.0) == waits_until(8.0, 2.0, 7.0, UnlessTold(10.0)) == 18.0
    assert waits_until(1.0, -math.inf, -math.inf, UnlessTold(10.0)) == 11.0


def test_a_reader_that_stays_where_it_is_tells_nothing() -> None:
    assert is_news(0, None)
    assert is_news(2, 1)
    assert not is_news(2, 2)


def test_what_an_owner_has_told_is_what_it_does_only_for_a_while() -> None:
    reading = Reading(1234, 5678, told_s=10.0)
    assert reading.in_words(11.0) == "still reads its log (up to sequence 1,234 of 5,678)"
    assert reading.in_words(30.0) == "was reading its log (up to sequence 1,234 of 5,678), and has told nothing for 20 s"
    assert Reading(0, 0, told_s=10.0).in_words(11.0) == "still reads its log"
