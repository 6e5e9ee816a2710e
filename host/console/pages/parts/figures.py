"""The counts of one moment, to be compared with those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.operations.audit import counts_of

if TYPE_CHECKING:
    from perdure.console.console import View

__all__ = ["Figures", "figures"]

COUNTS = (
    "ready",
    "delayed",
    "held",
    "in_flight",
    "published",
    "completed",
    "failed",
    "dead_lettered",
    "replayed",
    "purged",
    "cancelled",
)


@attrs.frozen
class Figures:
    """Counts of the whole, and of each type, at one moment."""

    seq: int
    at_us: int
    whole: dict[str, int]
    types: dict[str, dict[str, int]]


def figures(view: View) -> Figures:
    """Return the counts at the moment of a view."""
    counts = counts_of(view.states)
    types = {}
    for name, of_type in view.states.queue.by_type.items():
        handler = view.states.handlers.handlers.get(name)
        types[name] = {
            **{count: getattr(of_type, count) for count in COUNTS},
            "dead_letters": view.groups.by_type.get(name, 0),
            "workers": 0 if handler is None else handler.parallelism,
            "paused": int(view.states.handlers.is_paused(name)),
        }
    return Figures(view.seq, view.at_us, {name: getattr(counts, name) for name in (*COUNTS, "dead_letters")}, types)
