"""Nights in the simulated world: scenarios 29, 30, 36, 39, 42, 43 and 51 from seeds.

PERDURE_NIGHTS asks for another number of fresh nights.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

from perdure.chaos.oracle.recorded_events import facts
from perdure.chaos.simulation.campaign import run_part
from perdure.chaos.simulation.plan import TABLE, Plan, Step, draw
from perdure.chaos.simulation.scenario import BrokenContract, Scenario
from perdure.chaos.simulation.shrink import failure_of, shrink
from perdure.events.vocabulary import VOCABULARY, Published

ROOT = Path(__file__).parents[2]
ROOMS = ("actors", "chaos", "events", "host", "store")
FRESH = int(os.environ.get("PERDURE_NIGHTS", "400"))
PARTS = 8
KEPT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "seeds.json").read_text(encoding="utf-8"))
"""Nights that broke something once, and what that was: the plan itself where it was kept, else the seed it was drawn from."""


@pytest.mark.parametrize("kept", KEPT, ids=[f"{kept['seed']}" for kept in KEPT])
def test_night_that_once_broke_something(kept: dict[str, Any]) -> None:
    plan = Plan.from_json(kept["plan"]) if "plan" in kept else draw(kept["seed"])
    failure = failure_of(plan)
    assert failure is None, kept["what"]


def nights_of_the_source() -> int:
    """Give a seed that is another for each state of the source, and the same in each run of one: what fails, fails again."""
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return 1_000_000 + int.from_bytes(digest.digest()[:4]) * 1_000


@pytest.mark.long(seconds=30)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_fresh_nights(part: int) -> None:
    """A failure names its seed: `perdure chaos simulate --seed N --keep FILE` tells its story, for tests/chaos/seeds.json."""
    first = nights_of_the_source()
    tally = run_part(list(range(first + part, first + FRESH, PARTS)))
    print(f"{tally.scenarios:,} nights, {tally.turns:,} turns, {tally.simulated_s / 3600:,.0f} h; {tally.faults}")  # noqa: T201
    assert tally.failed == []
    assert tally.scenarios == len(range(part, FRESH, PARTS))


def fingerprint(seed: int) -> str:
    """Give a digest of all that a night did and left: its story, its disk, and the number of turns."""
    scenario = Scenario(draw(seed)).run()
    digest = hashlib.sha256("\n".join(scenario.story).encode())
    for name, content in sorted(scenario.disk.contents().items()):
        digest.update(name.encode() + content)
    return f"{digest.hexdigest()} {scenario.steps} {len(scenario.calls)}"


SEEDS = range(8)


@pytest.mark.long
def test_same_seed_gives_the_same_history_byte_for_byte() -> None:
    here = [fingerprint(seed) for seed in SEEDS]
    assert here == [fingerprint(seed) for seed in SEEDS]
    assert len(set(here)) == len(SEEDS)


@pytest.mark.long
def test_same_seed_gives_the_same_history_everywhere(tmp_path: Path) -> None:
    """... in other processes, whose hashes are salted otherwise, and from wherever perdure is installed."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    here = [fingerprint(seed) for seed in SEEDS]
    code = (
        "import runpy, sys, perdure; print(perdure.__file__); t = runpy.run_path(sys.argv[1]);"
        f"[print(t['fingerprint'](s)) for s in range({len(SEEDS)})]"
    )
    for salt, folder in (("1", tmp_path / "a"), ("2", tmp_path / "some" / "much longer" / "path to it")):
        for package, room in pyproject["tool"]["setuptools"]["package-dir"].items():
            shutil.copytree(ROOT / room, folder.joinpath(*package.split(".")), dirs_exist_ok=True)
        there = subprocess.run(
            [sys.executable, "-c", code, __file__],
            env={**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        assert Path(there[0]).is_relative_to(folder)
        assert there[1:] == here


def test_plan_is_plain_data() -> None:
    """A night can be kept as JSON, so that a later change of what is drawn does not make another of it."""
    for seed in range(20):
        plan = draw(seed)
        assert Plan.from_json(json.loads(plan.encode())) == plan
    with pytest.raises(ValueError, match="no such step"):
        Plan.from_json({"world": 1, "processes": [], "steps": [["dance", {}]], "small": False})


@pytest.mark.long
def test_nights_do_what_they_are_for() -> None:
    """Each kind of step is drawn, and each kind of fact comes of it: a promise about something that never happens is none."""
    drawn = {step.do for seed in range(100) for step in draw(seed).steps}
    seen: set[str] = set()
    deaths: set[str] = set()
    dropped = from_outbox = ticks = 0
    for seed in range(100):
        scenario = Scenario(draw(seed)).run()
        deaths |= set(scenario.deaths)
        events = [event for _, _, _, event in facts(scenario.store)]
        seen |= {type(event).__name__ for event in events}
        ticks += sum(isinstance(event, Published) and event.type.startswith("every:") for event in events)
        dropped += len(scenario.dropped)
        from_outbox += len(scenario.database.committed)
    assert drawn == set(TABLE)
    assert seen >= {cls.__name__ for cls in VOCABULARY.values()}
    assert min(dropped, from_outbox, ticks) > 60, "frames that were dropped, messages of the host's transactions, ticks"
    assert deaths >= {"power", "process", "in the middle", "I/O error", "queue", "journal", "worker", "supervisor"}
    assert deaths >= {"cancelled while it ran", "failures of the host's database", "scheduler", "relay"}


class _Forgetful(Scenario):
    """A night that believes in a message nobody published."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.acknowledged.add("m999")


def test_checker_sees_what_is_lost() -> None:
    with pytest.raises(BrokenContract, match="acknowledged and gone"):
        _Forgetful(draw(5, steps=10)).run()


@pytest.mark.long
def test_story_of_a_failure_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many steps only those are left without which nothing breaks."""
    monkeypatch.setattr("perdure.events.queue.outcomes.done", lambda *_: [])  # no message is ever completed
    monkeypatch.setitem(__import__("perdure.events.queue.decisions", fromlist=["RULES"]).RULES, _done(), lambda *_: [])
    plan = attrs.evolve(draw(3, steps=12, trouble=False), steps=[*draw(3, steps=12, trouble=False).steps, PUBLISH])
    failure = shrink(plan, 60)
    assert failure is not None
    assert len(failure.plan.steps) < len(plan.steps)
    assert failure_of(failure.plan) is not None


def test_every_kind_of_step_can_be_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """... whatever its keywords are called."""
    monkeypatch.setattr(Scenario, "run", lambda _: 1 / 0)
    rng = random.Random(1)  # noqa: S311 - to be repeated
    for name, action in TABLE.items():
        failure = shrink(Plan(1, [{"workers": 1}], [Step(name, action.draw(rng))]), 30)
        assert failure is not None
        assert len(failure.plan.steps) <= 1


PUBLISH = Step("publish", {"kind": "task", "how": "chained", "options": {"key": "k1"}})


def _done() -> type:
    from perdure.events.commands import Done  # noqa: PLC0415 - used once

    return Done
