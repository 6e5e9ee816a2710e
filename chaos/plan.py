"""The plan of a night: everything that is drawn before it begins, as plain data that can be kept, edited and shortened.

A night is its plan and the seed of the world it happens in. What each step does is in `doings` and `troubles`.
"""

from __future__ import annotations

import random
from typing import Any

import attrs
import msgspec

from perdure.chaos.doings import DOINGS, Doing
from perdure.chaos.troubles import TROUBLES

__all__ = ["Plan", "Step", "draw"]

TABLE: dict[str, Doing] = {**DOINGS, **TROUBLES}


@attrs.frozen
class Step:
    """One thing that is done, and how."""

    do: str
    how: dict[str, Any] = attrs.field(factory=dict)

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.do}({', '.join(f'{name}={value!r}' for name, value in self.how.items())})"


@attrs.frozen
class Plan:
    """A whole night: `world` is the seed of who gets the next turn; `processes` are the settings of each process in turn."""

    world: int
    processes: list[dict[str, Any]]
    steps: list[Step]
    small: bool = False
    """Bounds of the machinery that a night would never come to are small."""

    def to_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {"world": self.world, "processes": self.processes, "small": self.small, "steps": [[s.do, s.how] for s in self.steps]}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Plan:
        """Read what `to_json` gave.

        Raises:
            ValueError: a step that this version does not know.
        """
        steps = [Step(do, how) for do, how in plain["steps"]]
        if unknown := {step.do for step in steps} - TABLE.keys():
            msg = f"no such step: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return cls(plain["world"], plain["processes"], steps, plain["small"])

    def encode(self) -> bytes:
        """Give it as JSON."""
        return msgspec.json.encode(self.to_json())


def draw(seed: int, steps: int = 30, *, trouble: bool = True) -> Plan:
    """Draw a night from a seed."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    names = [name for name, doing in TABLE.items() for _ in range(doing.weight) if trouble or name not in TROUBLES]
    processes = [
        {
            "snapshot_events": chance.choice((40, 1_000_000)),
            "segment_bytes": chance.choice((4096, 16_384)),
            "workers": chance.choice((1, 3)),
            "prefetch_ms": chance.choice((0.0, 10.0)),
            "history": chance.choice(("keep", "drop")),
        }
        for _ in range(3)
    ]
    drawn = [chance.choice(names) for _ in range(steps)]
    made = [Step(name, TABLE[name].draw(chance)) for name in drawn]
    return Plan(chance.getrandbits(32), processes, made, small=chance.random() < 0.5)  # noqa: PLR2004 - as likely as not
