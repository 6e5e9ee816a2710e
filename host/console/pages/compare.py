"""Two moments side by side: what differs in the counts of the whole and of each type, and the acts in between."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from perdure.console.pages.parts.figures import figures
from perdure.console.pages.parts.page_rows import acts_until

if TYPE_CHECKING:
    from perdure.console.pages.parts.page import Page

__all__ = ["compare"]

ACTS_MAX = 200


def compare(page: Page) -> None:
    """Compare the moment `a` with the moment that the page shows."""
    view, before = page.shown, page.other
    if before is None:
        page.show("compare.html", a="", first=None, rows=[], types=[], acts=[])
        return
    after = figures(view, page.looks)
    low, high = sorted((before.seq, after.seq))
    page.show(
        "compare.html",
        a=page.asked("a"),
        first=before,
        rows=_changes(before.whole, after.whole),
        types=[
            (name, _changes(before.types.get(name, {}), after.types.get(name, {})))
            for name in sorted({*before.types, *after.types})
            if before.types.get(name) != after.types.get(name) and page.looks(name)
        ],
        acts=list(islice((act for act in acts_until(page) if low < act.seq <= high), ACTS_MAX))[::-1],
    )


def _changes(before: dict[str, int], after: dict[str, int]) -> list[tuple[str, int, int, int]]:
    names = [name for name in {**before, **after} if before.get(name, 0) != after.get(name, 0)]
    return [
        (name.replace("_", " "), before.get(name, 0), after.get(name, 0), after.get(name, 0) - before.get(name, 0))
        for name in names
    ]
