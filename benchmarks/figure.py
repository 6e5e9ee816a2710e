"""The result of measurements: a value of each round, and its ratio to the floor of the same round.

Measuring is in `rounds`.
"""

from __future__ import annotations

import statistics

import attrs

__all__ = ["Figure", "Measure", "Report", "ratio_of"]

SECONDS = {"ms": 1e-3, "us": 1e-6}


@attrs.frozen
class Measure:
    """A quantity that a load measures: its name, its unit (`.../s`, `ms`, `us` or `B`), and its floor."""

    name: str
    unit: str
    floor: str = ""
    """The name of the floor's measure; empty for none."""


def ratio_of(measure: Measure, value: float, floor: float) -> float:
    """Return the ratio of a value to its floor: for a time, how often the floor's work could be done in it."""
    seconds = SECONDS.get(measure.unit)
    return value / floor if seconds is None else value * seconds * floor


@attrs.frozen
class Figure:
    """The values of one measure, round by round; none if the load could not be run."""

    measure: Measure
    load: str
    note: str = ""
    """What a reader must know beside the number, such as a peer's durability."""
    values: list[float] = attrs.field(factory=list)
    ratios: list[float] = attrs.field(factory=list)
    missing: str = ""
    """Why there is no value; else empty."""

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median ratio; None without a floor."""
        return statistics.median(self.ratios) if self.ratios else None


@attrs.frozen(kw_only=True)
class Report:
    """All results of one group's run, and the machine. A later run of the group replaces it."""

    group: str
    effort: str
    rounds: int
    on: str
    """The machine: cores, interpreter, file system, and the share of processor time that others took, the kernel included."""
    floors: list[Figure]
    figures: list[Figure]

    def find(self, name: str) -> Figure | None:
        """Return the figure of a measure; None if it has no value."""
        return next((f for f in (*self.floors, *self.figures) if f.measure.name == name and f.values), None)
