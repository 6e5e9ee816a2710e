"""Kills of single actors under load, from seeded schedules: nothing is lost, nothing is there twice, the host goes on.

Deaths by errors (failing disks, broken rules) are in tests/actors.
"""

from __future__ import annotations

import faulthandler
import os
import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.actors.journal.log_fold import fold_log
from perdure.events import vocabulary as ev
from perdure.events.codec.queue_snapshot import dump_queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.conftest import Census

KILLS = int(os.environ.get("PERDURE_KILLS", "200"))
PUBLISHERS = 3
DRAIN_S = 30.0


@attrs.frozen
class Parent:
    name: str


@attrs.frozen
class Child:
    name: str


class Load:
    """Publishers that run until `stop` is set, and what they and the handlers have seen. Appending to a list is atomic."""

    def __init__(self, system: perdure.System, seed: int) -> None:
        self.system = system
        self.seed = seed
        self.sent: list[str] = []
        self.acknowledged: list[str] = []
        self.handled: list[str] = []
        self.refused: list[Exception] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.publish, args=(n,), daemon=True) for n in range(PUBLISHERS)]

    def register(self) -> None:
        @self.system.handler(Parent, parallelism=2, retries=1000, backoff=perdure.Fixed(0.0))
        def parent(message: Parent, ctx: perdure.Context) -> None:
            self.handled.append(ctx.id)
            child = f"{ctx.id}-child"
            self.sent.append(child)
            ctx.publish(Child(message.name), id=child)

        @self.system.handler(Child, parallelism=2, retries=1000, backoff=perdure.Fixed(0.0))
        def child(message: Child, ctx: perdure.Context) -> None:
            self.handled.append(ctx.id)

    def publish(self, publisher: int) -> None:
        n = 0
        while not self.stop.is_set():
            ident = f"{self.seed}-{publisher}-{n}"
            n += 1
            self.sent.append(ident)
            try:
                self.acknowledged.append(self.system.publish(Parent(ident), id=ident))
            except perdure.PerdureError as error:
                self.refused.append(error)
                return
            self.stop.wait(0.001)


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DRAIN_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not become true"
        time.sleep(0.001)


def run(folder: Path, seed: int, kills: int, census: Census, only: str | None = None) -> None:
    rng = random.Random(seed)
    system = perdure.System(folder, seed=seed)
    load = Load(system, seed)
    load.register()
    faulthandler.dump_traceback_later(DRAIN_S + 25.0 + kills / 20)
    try:
        with system:
            for thread in load.threads:
                thread.start()
            for _ in range(kills):
                names = [name for name in system.actors if only is None or name.startswith(only)]
                if names:
                    try:
                        system.actors.kill(rng.choice(names))
                    except KeyError:
                        continue  # it ended just before the kill
                time.sleep(rng.random() * 0.01)  # the schedule itself, not a wait
            load.stop.set()
            for thread in load.threads:
                thread.join(DRAIN_S)
                assert not thread.is_alive(), "a publisher is never answered"
            system.drain(timeout=DRAIN_S)
            assert load.refused == []
            assert system.running
            live = dump_queue(system.runtime.directory.actors["queue"].state)  # type: ignore[attr-defined]  # a decider
            replayed, _ = fold_log(system.runtime.log.store)
            assert live == dump_queue(replayed.queue)
        faulthandler.cancel_dump_traceback_later()
        audit = perdure.Audit(folder)
        assert audit.verify().ok
        assert len(load.acknowledged) > 0
        children = [f"{ident}-child" for ident in load.acknowledged]
        census(audit, load.sent, [*load.acknowledged, *children], load.handled)
    finally:
        load.stop.set()
        faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long(seconds=4)) for seed in (2, 3))])
def test_any_actor_dies_at_any_moment(tmp_path: Path, census: Census, seed: int) -> None:
    """Scenarios 39 and 42: hundreds of kills of random actors; the host restarts nothing."""
    run(tmp_path / "data", seed, KILLS, census)


@pytest.mark.parametrize("name", ["queue", "journal", "dispatcher", "dead_letters", "timer", "supervisor", "worker:"])
def test_one_kind_of_actor_dies_again_and_again(tmp_path: Path, census: Census, name: str) -> None:
    """Scenario 39: one role at a time, so that a failure names it."""
    run(tmp_path / "data", 11, KILLS // 5, census, only=name)


def killed(system: perdure.System, name: str) -> None:
    """Kill an actor and wait for its successor."""
    victim = system.actors[name]
    system.actors.kill(name)
    until(lambda: system.actors[name] is not victim)


def restarts(folder: Path) -> set[tuple[str, int]]:
    events = [record.event for record in perdure.Audit(folder).events(type="ActorRestarted")]
    return {(event.actor, event.deaths) for event in events if isinstance(event, ev.ActorRestarted)}


def test_every_restart_is_recorded_though_the_journal_dies_just_after(tmp_path: Path) -> None:
    """Scenario 39 and law 1: what the supervisor sends to a journal that is dead or not yet open waits for the next one."""
    system = perdure.System(tmp_path / "data", options=perdure.Options(durability="os"))
    with system:
        for name in ["queue", "journal", "timer", "journal", "dispatcher", "journal", "snapshotter", "journal", "dead_letters"] * 4:
            killed(system, name)
        expected = {(name, n + 1) for name, deaths in system.runtime.health.deaths.items() for n in range(deaths)}
        assert len(expected) == 36
    assert restarts(tmp_path / "data") == expected


def has_restarted(system: perdure.System, times: int) -> bool:
    return system.admin.metrics().runtime_counters.get("actor_restarts", 0) == times


def test_the_death_of_the_supervisor_is_recorded_and_counted(tmp_path: Path) -> None:
    """Law 1: a restarted supervisor records its own restart."""
    system = perdure.System(tmp_path / "data")
    with system:
        for n in (1, 2, 3):
            killed(system, "supervisor")
            until(partial(has_restarted, system, n))
    assert restarts(tmp_path / "data") == {("supervisor", 1), ("supervisor", 2), ("supervisor", 3)}
