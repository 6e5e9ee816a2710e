"""What a person gives as JSON: refused in words that say what to do."""

from __future__ import annotations

import pytest

import perdure
from perdure.publishing.given_message import given_json


@pytest.mark.parametrize("text", ["EUR", "next week", "shop.Order"])
def test_a_text_without_quotes_is_told_to_take_some(text: str) -> None:
    with pytest.raises(perdure.InvalidMessage, match="a text stands in quotes") as refused:
        given_json("value", text)
    assert f'"{text}"' in str(refused.value)
    assert given_json("value", f'"{text}"') == text


@pytest.mark.parametrize("text", ["{", "[1,", '{"a": 1,}', "7 7", '"open'])
def test_json_with_a_fault_is_not_taken_for_a_text(text: str) -> None:
    with pytest.raises(perdure.InvalidMessage, match="is no JSON") as refused:
        given_json("value", text)
    assert "stands in quotes" not in str(refused.value)
