"""Shrinking: of a night that fails, a shorter one that fails too, so that its story can be read.

Delta debugging (Zeller, Hildebrandt 2002) over the steps of a plan, then over the options of what they publish; with a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.chaos.simulation.plan import Step
from perdure.chaos.simulation.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.chaos.simulation.plan import Plan

__all__ = ["Failure", "failure_of", "shrink"]


@attrs.frozen
class Failure:
    """A plan that fails, how, and the story of it."""

    plan: Plan
    error: str
    story: list[str]


def failure_of(plan: Plan) -> Failure | None:
    """Run a plan; None where nothing is wrong."""
    scenario = Scenario(plan)
    try:
        scenario.run()
    except Exception as error:  # noqa: BLE001 - any failure of a night is one to tell
        return Failure(plan, repr(error), [*scenario.story, f"=> {error!r}"])
    return None


def shrink(plan: Plan, runs_max: int = 400) -> Failure | None:
    """Find a shorter plan that fails, in at most so many runs; None where this one does not fail at all."""
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
    """Give shorter plans, those that leave most out first; then the same steps with fewer options, and one process's settings."""
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
            continue  # those go with the key
        yield Step(step.do, {**how, "options": {k: v for k, v in how["options"].items() if k != name}})
    if "key" in how.get("options", {}):
        without = {k: v for k, v in how["options"].items() if k not in {"key", "dedup", "dedup_window"}}
        yield Step(step.do, {**how, "options": without})
    if "how" in how and "kind" in how and how["how"] != "done":
        yield Step(step.do, {**how, "how": "done"})
    messages = how.get("messages")
    if isinstance(messages, list) and len(messages) > 1:  # of `repeat` it is a number
        for i in range(len(messages)):
            yield Step(step.do, {**how, "messages": [*messages[:i], *messages[i + 1 :]]})
