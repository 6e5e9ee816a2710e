"""The messages of a shop, whose spans and counts the tests of this folder look at."""

from __future__ import annotations

import attrs

import perdure

__all__ = ["Letter", "Placed", "Receipt"]


@perdure.message(name="shop.Placed")
@attrs.frozen
class Placed:
    number: int


@perdure.message(name="shop.Receipt")
@attrs.frozen
class Receipt:
    number: int


@perdure.message(name="shop.Letter")
@attrs.frozen
class Letter:
    number: int
