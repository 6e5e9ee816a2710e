"""The counts of one moment, to be compared with those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

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


def figures(view: View, looks: Callable[[str], bool]) -> Figures:
    """Return the counts at the moment of a view, of the types that may be looked at; those of the whole are their sums."""
    types = {}
    for name, of_type in view.states.queue.by_type.items():
        if not looks(name):
            continue
        handler = view.states.handlers.handlers.get(name)
        types[name] = {
            **{count: getattr(of_type, count) for count in COUNTS},
            "dead_letters": view.groups.by_type.get(name, 0),
            "workers": 0 if handler is None else handler.parallelism,
            "paused": int(view.states.handlers.is_paused(name)),
        }
    whole = {name: sum(of_type[name] for of_type in types.values()) for name in (*COUNTS, "dead_letters")}
    return Figures(view.seq, view.at_us, whole, types)
