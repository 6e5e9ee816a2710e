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
from perdure.chaos.scenarios.steps.faults import FAULTS
from perdure.chaos.scenarios.steps.roles import ROLE_STEPS
from perdure.chaos.scenarios.steps.spooling import SPOOL_STEPS
from perdure.chaos.scenarios.steps.takeovers import TAKEOVERS

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["TABLE", "Plan", "Step", "draw"]

OTHERS_STEPS: dict[str, Action] = {**CLIENT_STEPS, **TAKEOVERS}
TABLE: dict[str, Action] = {**ACTIONS, **FAULTS, **OTHERS_STEPS, **ROLE_STEPS, **SPOOL_STEPS}
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
    plan = _with_clients(plan, random.Random(f"clients of {seed}"), faults=faults, clients=clients, favoured=favoured)
    has_others = faults and any("with_others" in settings for settings in plan.processes)
    if not has_others:
        return plan
    plan = _with_roles(plan, random.Random(f"roles of {seed}"), roles=roles, favoured=favoured)
    has_roles = any("roles" in settings for settings in plan.processes)
    return _with_spool(plan, random.Random(f"spool of {seed}"), spool=spool, favoured=favoured) if has_roles else plan


def _weighted(table: dict[str, Action], favoured: Collection[str]) -> list[str]:
    return [name for name, action in table.items() for _ in range(action.weight * (FAVOUR if name in favoured else 1))]


def _with_clients(plan: Plan, rng: random.Random, *, faults: bool, clients: bool | None, favoured: Collection[str]) -> Plan:
    """Return a plan with steps of clients between the others, or as it is. Drawn apart, so that the others stay the same."""
    if clients is None:
        clients = rng.random() < WITH_CLIENTS
    if not clients:
        return plan
    names = _weighted(OTHERS_STEPS, favoured) if faults else ["client"]
    steps: list[Step] = []
    for step in plan.steps:
        while rng.random() < CLIENTS_BESIDE:
            name = rng.choice(names)
            steps.append(Step(name, OTHERS_STEPS[name].draw(rng)))
        steps.append(step)
    return attrs.evolve(plan, steps=steps, processes=[{**settings, "with_others": True} for settings in plan.processes])


def _with_roles(plan: Plan, rng: random.Random, *, roles: bool | None, favoured: Collection[str]) -> Plan:
    """Return a plan with steps of members that are more than workers, or as it is. Drawn apart, as above."""
    if roles is None:
        roles = rng.random() < WITH_ROLES
    if not roles:
        return plan
    names = _weighted(ROLE_STEPS, favoured)
    steps: list[Step] = []
    for step in plan.steps:
        while rng.random() < ROLES_BESIDE:
            name = rng.choice(names)
            steps.append(Step(name, ROLE_STEPS[name].draw(rng)))
        steps.append(step)
    processes = [{**settings, "roles": True, "relays": rng.choice((False, True))} for settings in plan.processes]
    return attrs.evolve(plan, steps=steps, processes=processes)


def _with_spool(plan: Plan, rng: random.Random, *, spool: bool | None, favoured: Collection[str]) -> Plan:
    """Return a plan with steps of a client that spools, or as it is. Drawn apart, as above."""
    if spool is None:
        spool = rng.random() < WITH_SPOOL
    if not spool:
        return plan
    names = _weighted(SPOOL_STEPS, favoured)
    steps: list[Step] = []
    for step in plan.steps:
        while rng.random() < SPOOL_BESIDE:
            name = rng.choice(names)
            steps.append(Step(name, SPOOL_STEPS[name].draw(rng)))
        steps.append(step)
    return attrs.evolve(plan, steps=steps, processes=[{**settings, "spools": True} for settings in plan.processes])
