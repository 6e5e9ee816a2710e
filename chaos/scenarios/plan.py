"""The plan of a scenario: all that is drawn before it begins, as plain data that can be kept, edited and shortened.

A plan contains the seed of its executor, so it determines the whole history. What each step does is in `actions` and `faults`.
"""

from __future__ import annotations

import random
from typing import Any

import attrs
import msgspec

from perdure.chaos.scenarios.actions import ACTIONS, Action
from perdure.chaos.scenarios.faults import FAULTS

__all__ = ["TABLE", "Plan", "Step", "draw"]

TABLE: dict[str, Action] = {**ACTIONS, **FAULTS}


@attrs.frozen
class Step:
    """One action or fault, and its keywords."""

    do: str
    how: dict[str, Any] = attrs.field(factory=dict)

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.do}({', '.join(f'{name}={value!r}' for name, value in self.how.items())})"


@attrs.frozen
class Plan:
    """A whole scenario."""

    executor_seed: int
    """The seed of the order in which actors take turns."""
    processes: list[dict[str, Any]]
    """The settings of each process in turn."""
    steps: list[Step]
    small: bool = False
    """Whether perdure's internal bounds are small, so that the scenario reaches them."""

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {
            "executor_seed": self.executor_seed,
            "processes": self.processes,
            "small": self.small,
            "steps": [[s.do, s.how] for s in self.steps],
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Plan:
        """Return the plan of what `to_json` returned.

        Raises:
            ValueError: a part is missing, or the plan has a step that this version does not know.
        """
        if missing := {"executor_seed", "processes", "steps", "small"} - plain.keys():
            msg = f"not a plan of this version: without {', '.join(sorted(missing))}"
            raise ValueError(msg)
        steps = [Step(do, how) for do, how in plain["steps"]]
        if unknown := {step.do for step in steps} - TABLE.keys():
            msg = f"no such step: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return cls(plain["executor_seed"], plain["processes"], steps, plain["small"])

    def encode(self) -> bytes:
        """Return the plan as JSON."""
        return msgspec.json.encode(self.to_json())


def draw(seed: int, steps: int = 30, *, faults: bool = True) -> Plan:
    """Return the plan of a seed, with or without faults."""
    rng = random.Random(seed)  # noqa: S311 - to be repeated
    names = [name for name, action in TABLE.items() for _ in range(action.weight) if faults or name not in FAULTS]
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
