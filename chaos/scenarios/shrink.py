"""Shorten the plan of a scenario that fails to one that still fails and is easy to read.

Delta debugging (Zeller, Hildebrandt 2002) over the steps of a plan, then over the options of their messages, with a bound on runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.chaos.scenarios.plan import Step
from perdure.chaos.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.chaos.scenarios.plan import Plan

__all__ = ["Failure", "failure_of", "shrink"]


@attrs.frozen
class Failure:
    """A plan that fails."""

    plan: Plan
    error: str
    trace: list[str]
    """Its steps, what came of them, and the error."""


def failure_of(plan: Plan) -> Failure | None:
    """Run a plan. Return its failure, or None if the contract held."""
    scenario = Scenario(plan)
    try:
        scenario.run()
    except Exception as error:  # noqa: BLE001 - any failure of a scenario is reported
        return Failure(plan, repr(error), [*scenario.trace, f"=> {error!r}"])
    return None


def shrink(plan: Plan, runs_max: int = 400) -> Failure | None:
    """Return the shortest failing plan found in at most `runs_max` runs; None if this plan does not fail."""
    best = failure_of(plan)
    if best is None:
        return None
    left = runs_max
    progress = True
    while progress and left > 0:
        progress = False
        for shorter in _candidates(best.plan):
            left -= 1
            failure = failure_of(shorter)
            if failure is not None:
                best, progress = failure, True
                break
            if left <= 0:
                break
    return best


def _candidates(plan: Plan) -> Iterator[Plan]:
    """Yield shorter plans, the shortest first; then the same steps with fewer options; then one process's settings for all."""
    steps = plan.steps
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps), size):
            yield attrs.evolve(plan, steps=[*steps[:start], *steps[start + size :]])
        size //= 2
    for i, step in enumerate(steps):
        for plainer in _plainer(step):
            yield attrs.evolve(plan, steps=[*steps[:i], plainer, *steps[i + 1 :]])
    if len(plan.processes) > 1:
        yield attrs.evolve(plan, processes=plan.processes[:1])


def _plainer(step: Step) -> Iterator[Step]:
    how = step.how
    for name in how.get("options", {}):
        if name in {"dedup", "dedup_window"} or (name == "key" and "dedup" in how["options"]):
            continue  # they are removed with the key
        yield Step(step.do, {**how, "options": {k: v for k, v in how["options"].items() if k != name}})
    if "key" in how.get("options", {}):
        without = {k: v for k, v in how["options"].items() if k not in {"key", "dedup", "dedup_window"}}
        yield Step(step.do, {**how, "options": without})
    if "how" in how and "kind" in how and how["how"] != "done":
        yield Step(step.do, {**how, "how": "done"})
    messages = how.get("messages")
    if isinstance(messages, list) and len(messages) > 1:  # of `redeliver` it is a number
        for i in range(len(messages)):
            yield Step(step.do, {**how, "messages": [*messages[:i], *messages[i + 1 :]]})
