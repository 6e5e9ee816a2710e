"""How events of an older version of the vocabulary become today's: one small function for each step.

Rows here are plain values; `wire` calls `upcast` before it builds event objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Row = dict[str, Any]
    Upcaster = Callable[[Row], Row]

UPCASTERS: dict[tuple[int, int], Upcaster] = {}
"""(wire tag, version) to the function that returns the fields of the next version.

A field added at the end with a default needs no entry here and no new version: shorter rows are filled from the defaults.
"""

OLD_FIELDS: dict[tuple[int, int], tuple[str, ...]] = {}
"""(wire tag, version) to the field names of that version, in wire order, for every version that is no longer today's."""


def upcast(tag: int, version: int, today: int, row: Row) -> Row:
    """Return one row of event `tag` as of version `today`, step by step from `version`.

    Raises:
        KeyError: no upcaster is known for one of the steps.
    """
    for step in range(version, today):
        row = UPCASTERS[tag, step](row)
    return row
