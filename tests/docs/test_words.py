"""Check that the docs use the words of the field: no private word of an earlier version, and no code that is called a person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"])
CODE = re.compile(r"```.*?```|<!-- figures.*?<!-- end -->|`[^`\n]*`", re.DOTALL)
"""Code and printed figures: `parcels`, for example, is the name of a field in snapshot files."""
PRIVATE = re.compile(
    r"\b(whoever|nobody|somebody|husks?|parcels?|shelf|shelved?|bundles?|nights?|doings?|machinery|desk|undertaker|reborn)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_uses_no_private_word(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    assert PRIVATE.findall(text) == []


def test_private_word_is_found_outside_of_code() -> None:
    text = "a parcel of `parcels`"
    assert PRIVATE.findall(CODE.sub("", text)) == ["parcel"]
