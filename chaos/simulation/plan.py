"""The plan of a night: everything that is drawn before it begins, as plain data that can be kept, edited and shortened.

A night is its plan and the seed of the world it happens in. What each step does is in `doings` and `faults`.
"""

from __future__ import annotations

import random
from typing import Any

import attrs
import msgspec

from perdure.chaos.simulation.actions import ACTIONS, Action
from perdure.chaos.simulation.faults import FAULTS

__all__ = ["Plan", "Step", "draw"]

TABLE: dict[str, Action] = {**ACTIONS, **FAULTS}


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
    """A whole night: `executor` is the seed of who gets the next turn; `processes` are the settings of each process in turn."""

    executor: int
    processes: list[dict[str, Any]]
    steps: list[Step]
    small: bool = False
    """Bounds of the machinery that a night would never come to are small."""

    def to_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "world": self.executor,
            "processes": self.processes,
            "small": self.small,
            "steps": [[s.do, s.how] for s in self.steps],
        }

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
    rng = random.Random(seed)  # noqa: S311 - to be repeated
    names = [name for name, action in TABLE.items() for _ in range(action.weight) if trouble or name not in FAULTS]
    processes = [
        {
            "snapshot_events": rng.choice((40, 1_000_000)),
            "segment_bytes": rng.choice((4096, 16_384)),
            "workers": rng.choice((1, 3)),
            "prefetch_ms": rng.choice((0.0, 10.0)),
            "history": rng.choice(("keep", "drop")),
        }
        for _ in range(3)
    ]
    drawn = [rng.choice(names) for _ in range(steps)]
    made = [Step(name, TABLE[name].draw(rng)) for name in drawn]
    return Plan(rng.getrandbits(32), processes, made, small=rng.random() < 0.5)  # noqa: PLR2004 - as likely as not
