"""Expressions that mean nothing are refused in words, and never match nothing, or everything, in silence."""

from __future__ import annotations

import pytest

from perdure.events.errors import InvalidMessage
from perdure.events.queue.searching.expression import is_expression, search_of
from perdure.events.queue.searching.live_messages import live_search_of
from perdure.events.vocabulary import Published


@pytest.mark.parametrize("text", ["priority>abc", "payload.n<", "payload.n>nan", "priority>1.2.3"])
def test_only_numbers_are_compared(text: str) -> None:
    with pytest.raises(InvalidMessage, match="compares numbers"):
        search_of(text)


@pytest.mark.parametrize("text", ["payload.x>1e999", "payload.x<-1e999", "priority>inf", "header.n<infinity"])
def test_what_is_no_finite_number_is_refused_by_name_unless_the_log_has_it(text: str) -> None:
    """Plans of bulk acts on record may have it: their owner goes on with them, and finds nothing."""
    with pytest.raises(InvalidMessage, match="is infinite or too large for a number") as refused:
        search_of(text)
    assert text in str(refused.value)
    with pytest.raises(InvalidMessage, match="is infinite or too large"):
        live_search_of(text)
    published = Published(id="a", type="t", payload=b"", number=1)
    for search in (search_of(text, is_on_record=True), live_search_of(text, is_on_record=True)):
        assert not search.takes(published, lambda _: {"x": "none"})


@pytest.mark.parametrize("text", ["event!=AttemptFailed", "error!=timeout", "reason!=x"])
def test_what_did_not_happen_is_not_asked_for(text: str) -> None:
    with pytest.raises(InvalidMessage, match="use = or ~"):
        search_of(text)


@pytest.mark.parametrize("step", ["\N{SUPERSCRIPT TWO}", "9" * 3_900, "1.x"])
def test_a_place_in_a_list_that_is_none_finds_nothing(step: str) -> None:
    published = Published(id="a", type="t", payload=b"", number=1)
    assert not search_of(f"payload.lines.{step}=2").takes(published, lambda _: {"lines": [1, 2]})
    assert search_of("payload.lines.1=2").takes(published, lambda _: {"lines": [1, 2]})


def test_a_long_word_is_shown_in_a_line() -> None:
    with pytest.raises(InvalidMessage) as caught:
        search_of("x" * 100_000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("type=Order error~timeout", True),
        ("error~no stock", False),
        ("type=Order", False),
        ("error~'no stock' key=7", True),
        ('group="depot 9"', True),
        ("id~it's", False),
        ('payload.a="x" y', False),
    ],
)
def test_a_word_of_the_shell_is_one_condition_or_an_expression(text: str, is_one: bool) -> None:
    assert is_expression(text) is is_one
