"""Simulated scenarios from seeds. They cover scenarios 29, 30, 36, 39, 42, 43 and 51 of docs/SCENARIOS.md.

PERDURE_SCENARIOS sets the number of fresh ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from perdure.chaos.scenarios.campaign import run_part
from perdure.chaos.scenarios.plan import TABLE, Plan, Step, draw
from perdure.chaos.scenarios.scenario import BrokenContract, Scenario
from perdure.chaos.scenarios.shrink import failure_of, shrink
from perdure.events.vocabulary import VOCABULARY, Published

ROOT = Path(__file__).parents[3]
ROOMS = ("actors", "chaos", "events", "host", "store")
FRESH = int(os.environ.get("PERDURE_SCENARIOS", "240"))
PARTS = 8
KEPT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "seeds.json").read_text(encoding="utf-8"))
"""Scenarios that once failed, and why: the plan if it was kept, else the seed from which it was drawn."""


@pytest.mark.long(seconds=2)
@pytest.mark.parametrize("kept", KEPT, ids=[f"{kept['seed']}" for kept in KEPT])
def test_scenario_that_once_failed(kept: dict[str, Any]) -> None:
    plan = Plan.from_json(kept["plan"]) if "plan" in kept else draw(kept["seed"])
    failure = failure_of(plan)
    assert failure is None, kept["what"]


def first_fresh_seed() -> int:
    """Return a seed that depends on the source alone: a failure repeats until the source changes."""
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return 1_000_000 + int.from_bytes(digest.digest()[:4]) * 1_000


@pytest.mark.long(seconds=30)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_fresh_scenarios(part: int) -> None:
    """A failure names its seed; `perdure chaos simulate --seed N --keep FILE` writes a short plan for seeds.json."""
    first = first_fresh_seed()
    tally = run_part(list(range(first + part, first + FRESH, PARTS)))
    print(f"{tally.scenarios:,} scenarios, {tally.turns:,} turns, {tally.simulated_s / 3600:,.0f} h; {tally.faults}")
    assert tally.failed == []
    assert tally.scenarios == len(range(part, FRESH, PARTS))


def fingerprint(seed: int) -> str:
    """Return a digest of a scenario: its trace, its disk, and the number of turns."""
    scenario = Scenario(draw(seed)).run()
    digest = hashlib.sha256("\n".join(scenario.trace).encode())
    for name, content in sorted(scenario.sut.disk.contents().items()):
        digest.update(name.encode() + content)
    return f"{digest.hexdigest()} {scenario.steps} {len(scenario.sut.handler_log.calls)}"


SEEDS = range(4)


@pytest.mark.long(seconds=20)
def test_same_seed_gives_the_same_history_everywhere(tmp_path: Path) -> None:
    """Byte for byte: neither what ran before, nor the salt of hashes, nor the folder of perdure changes it."""
    here = [fingerprint(seed) for seed in SEEDS]
    assert here == [fingerprint(seed) for seed in SEEDS]
    assert len(set(here)) == len(SEEDS)
    code = (
        "import runpy, sys, perdure; print(perdure.__file__); t = runpy.run_path(sys.argv[1]);"
        f"[print(t['fingerprint'](s)) for s in range({len(SEEDS)})]"
    )
    for salt, folder in (("1", tmp_path / "a"), ("2", tmp_path / "some" / "much longer" / "path to it")):
        shutil.copytree(ROOT / "host", folder / "perdure")
        for room in ("actors", "chaos", "events", "store"):
            shutil.copytree(ROOT / room, folder / "perdure" / room)
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
    """A plan can be kept as JSON, so that it stays the same when the drawing changes."""
    for seed in range(20):
        plan = draw(seed)
        assert Plan.from_json(json.loads(plan.encode())) == plan
    with pytest.raises(ValueError, match="no such step"):
        Plan.from_json({"executor_seed": 1, "processes": [], "steps": [["dance", {}]], "small": False})


EVENTS = {cls.__name__ for cls in VOCABULARY.values()}
FAULTS = {
    *("power", "process", "actor, in the middle", "I/O error", "queue", "journal", "worker", "supervisor"),
    *("asked by a client", "broken connection", "repeated frames", "swapped frames", "client", "absent owner"),
    *("owner hangs", "client hangs", "member", "handled by a member"),
    *("deputy joins", "taken over by a deputy", "dies as it takes over"),
    *("cancelled while running", "failing database", "scheduler", "relay"),
    *("promoted", "promoted while its handlers run", "a member asks to checkout", "the relaying process dies"),
}


@pytest.mark.long(seconds=20)
def test_a_hundred_scenarios_cover_all_steps_and_events() -> None:
    """Each kind of step is drawn, and each kind of event occurs: a check of what never happens proves nothing."""
    drawn = {step.do for seed in range(100) for step in draw(seed, clients=seed % 2 == 0, clock=seed % 4 == 0).steps}
    assert drawn == {name for name, action in TABLE.items() if action.weight}
    seen: set[str] = set()
    faults: set[str] = set()
    dropped = from_outbox = ticks = 0
    for seed in range(100):
        scenario = Scenario(draw(seed)).run()
        sut = scenario.sut
        faults |= set(sut.fault_counts)
        events = [event for _, _, _, event in sut.system.recording.recorded_events()]
        seen |= {type(event).__name__ for event in events}
        ticks += sum(isinstance(event, Published) and event.type.startswith("every:") for event in events)
        dropped += len(sut.dropped)
        from_outbox += len(sut.database.committed)
        if seen >= EVENTS and faults >= FAULTS and min(dropped, from_outbox, ticks) > 60:
            return
    assert (EVENTS - seen, FAULTS - faults) == (set(), set())
    assert min(dropped, from_outbox, ticks) > 60, "dropped frames, messages from the outbox, ticks"


def test_handler_that_begins_behind_the_stop_is_found() -> None:
    scenario = Scenario(draw(3, steps=10))
    scenario.sut.system.recording.is_stopped = True
    with pytest.raises(BrokenContract, match="called after its process had stopped"):
        scenario.run()


def test_lost_message_is_found() -> None:
    scenario = Scenario(draw(5, steps=10))
    scenario.sut.publisher_log.acknowledged.add("m999")
    with pytest.raises(BrokenContract, match="acknowledged and lost"):
        scenario.run()


@pytest.mark.long
def test_failing_plan_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the steps are left that the failure needs."""
    monkeypatch.setattr("perdure.events.queue.outcomes.done", lambda *_: [])  # no message is ever completed
    monkeypatch.setitem(__import__("perdure.events.queue.decisions", fromlist=["RULES"]).RULES, _done(), lambda *_: [])
    plan = attrs.evolve(draw(3, steps=6, faults=False), steps=[*draw(3, steps=6, faults=False).steps, PUBLISH])
    failure = shrink(plan, 25)
    assert failure is not None
    assert len(failure.plan.steps) < len(plan.steps)
    assert failure_of(failure.plan) is not None


def test_every_kind_of_step_can_be_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keywords of a step have any names."""
    monkeypatch.setattr(Scenario, "run", lambda _: 1 / 0)
    rng = random.Random(1)
    for name, action in TABLE.items():
        failure = shrink(Plan(1, [{"workers": 1}], [Step(name, action.draw(rng))]), 30)
        assert failure is not None
        assert len(failure.plan.steps) <= 1


PUBLISH = Step("publish", {"kind": "task", "how": "chained", "options": {"key": "k1"}})


def _done() -> type:
    from perdure.events.commands import Done

    return Done
