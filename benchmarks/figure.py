"""What a measurement gives: a value of each round, and its ratio to the floor of the same round. No measuring here."""

from __future__ import annotations

import statistics

import attrs

__all__ = ["Figure", "Measure", "Report", "ratio_of"]

SECONDS = {"ms": 1e-3, "us": 1e-6}


@attrs.frozen
class Measure:
    """A quantity that a load gives: its name, its unit (`.../s`, `ms`, `us` or `B`), and the floor that it is set against."""

    name: str
    unit: str
    floor: str = ""
    """The name of the floor's own measure; empty for none."""


def ratio_of(measure: Measure, value: float, floor: float) -> float:
    """Set a value against its floor: a rate or a size as a multiple of it, a time as how many of it could be done meanwhile."""
    seconds = SECONDS.get(measure.unit)
    return value / floor if seconds is None else value * seconds * floor


@attrs.frozen
class Figure:
    """One measure's values, round by round; none of them where the load could not be run, with the reason."""

    measure: Measure
    load: str
    note: str = ""
    """What a reader must know beside the number: a peer's durability, for example."""
    values: list[float] = attrs.field(factory=list)
    ratios: list[float] = attrs.field(factory=list)
    missing: str = ""
    """Why there is no value."""

    @property
    def median(self) -> float:
        """The value that counts."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The ratio that counts; None without a floor."""
        return statistics.median(self.ratios) if self.ratios else None


@attrs.frozen(kw_only=True)
class Report:
    """All that one group's run gave, with what it ran on. A later run of the group takes its place."""

    group: str
    effort: str
    rounds: int
    on: str
    """The kind of machine: cores, interpreter, file system; and how much of it others, the kernel too, took meanwhile."""
    floors: list[Figure]
    figures: list[Figure]

    def find(self, name: str) -> Figure | None:
        """Give the figure of a measure, if it has a value."""
        return next((f for f in (*self.floors, *self.figures) if f.measure.name == name and f.values), None)
