"""The plan of a scenario: all that is drawn before it begins, as plain data that can be kept, edited and shortened.

A plan contains the seed of its executor, so it determines the whole history. What each step does is in `steps`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from perdure.chaos.scenarios.steps.actions import ACTIONS, Action
from perdure.chaos.scenarios.steps.clients import CLIENT_STEPS
from perdure.chaos.scenarios.steps.faults import CLOCK_STEPS, FAULTS
from perdure.chaos.scenarios.steps.roles import ROLE_STEPS
from perdure.chaos.scenarios.steps.spooling import SPOOL_STEPS
from perdure.chaos.scenarios.steps.takeovers import TAKEOVERS

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["TABLE", "Plan", "Step", "draw"]

OTHERS_STEPS: dict[str, Action] = {**CLIENT_STEPS, **TAKEOVERS}
TABLE: dict[str, Action] = {**ACTIONS, **FAULTS, **CLOCK_STEPS, **OTHERS_STEPS, **ROLE_STEPS, **SPOOL_STEPS}
WITH_CLOCK = 0.3
"""The share of scenarios, of those of which nothing is said, in which the clock is put forward under living processes."""
CLOCK_BESIDE = 0.1
"""How likely such a step stands before each other one there."""
WITH_CLIENTS = 0.35
"""The share of scenarios in which other processes ask, too, and handle messages."""
WITH_ROLES = 0.5
"""The share of these in which members become the owner, consume by hand, and share an outbox."""
ROLES_BESIDE = 0.25
"""How likely such a step stands before each other one there."""
WITH_SPOOL = 0.5
"""The share of these in which a client spools."""
SPOOL_BESIDE = 0.2
"""How likely such a step stands before each other one there."""
FAVOUR = 8
"""How many times as often a favoured step is drawn."""
CLIENTS_BESIDE = 0.4
"""How likely a client's step stands before each other one there."""


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


def draw(
    seed: int,
    steps: int = 30,
    *,
    faults: bool = True,
    clients: bool | None = None,
    roles: bool | None = None,
    spool: bool | None = None,
    clock: bool | None = None,
    favoured: Collection[str] = (),
) -> Plan:
    """Return the plan of a seed, with or without faults.

    Args:
        seed: What the plan follows from, with the other arguments.
        steps: How many steps it has, without those of clients.
        faults: Whether something goes wrong in it.
        clients: Whether other processes ask, too. None: in some plans.
        roles: Whether members become the owner and more, where other processes ask and things go wrong. None: in some plans.
        spool: Whether a client spools where members play such roles. None: in some plans.
        clock: Whether the clock is put forward. None: in some plans, where nothing is said of `clients` either.
        favoured: Names of steps that are drawn `FAVOUR` times as often as they are else.
    """
    rng = random.Random(seed)
    names = _weighted({**ACTIONS, **FAULTS} if faults else ACTIONS, favoured)
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
    plan = Plan(rng.getrandbits(32), processes, made, small=rng.random() < 0.5)

    # Each kind of step is drawn by a generator of its own, so that it may change while the others stay as they are.
    rng = random.Random(f"clock of {seed}")
    if faults and (clients is None or clock) and _is_drawn(rng, WITH_CLOCK, wanted=clock):
        made = _between(rng, made, [*CLOCK_STEPS], CLOCK_BESIDE)
        plan = attrs.evolve(plan, steps=made)
    rng = random.Random(f"clients of {seed}")
    if not _is_drawn(rng, WITH_CLIENTS, wanted=clients):
        return plan
    made = _between(rng, made, _weighted(OTHERS_STEPS, favoured) if faults else ["client"], CLIENTS_BESIDE)
    plan = attrs.evolve(plan, steps=made, processes=[{**each, "with_others": True} for each in plan.processes])
    rng = random.Random(f"roles of {seed}")
    if not faults or not _is_drawn(rng, WITH_ROLES, wanted=roles):
        return plan
    made = _between(rng, made, _weighted(ROLE_STEPS, favoured), ROLES_BESIDE)
    processes = [{**each, "roles": True, "relays": rng.choice((False, True))} for each in plan.processes]
    plan = attrs.evolve(plan, steps=made, processes=processes)
    rng = random.Random(f"spool of {seed}")
    if not _is_drawn(rng, WITH_SPOOL, wanted=spool):
        return plan
    made = _between(rng, made, _weighted(SPOOL_STEPS, favoured), SPOOL_BESIDE)
    return attrs.evolve(plan, steps=made, processes=[{**each, "spools": True} for each in plan.processes])


def _weighted(table: dict[str, Action], favoured: Collection[str]) -> list[str]:
    return [name for name, action in table.items() for _ in range(action.weight * (FAVOUR if name in favoured else 1))]


def _is_drawn(rng: random.Random, share: float, *, wanted: bool | None) -> bool:
    return rng.random() < share if wanted is None else wanted


def _between(rng: random.Random, steps: list[Step], names: list[str], likelihood: float) -> list[Step]:
    """Return steps with drawn ones between them: another is drawn before each as long as chance says so."""
    found: list[Step] = []
    for step in steps:
        while rng.random() < likelihood:
            name = rng.choice(names)
            found.append(Step(name, TABLE[name].draw(rng)))
        found.append(step)
    return found
