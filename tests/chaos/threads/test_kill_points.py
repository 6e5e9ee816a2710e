"""Scenario 39 at single points: an actor dies just before the append, after it, after the sync, and in a handler.

The kill comes from within, at that instruction. Kills from outside, at any instruction, are in `test_actor_kills`. PERDURE_KILLS
sets their number.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.core.actor import ActorKilled
from perdure.store import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.chaos.conftest import Census

KILLS = max(1, int(os.environ.get("PERDURE_KILLS", "200")) // 10)
EVERY = 7


@attrs.frozen
class Parent:
    number: int


@attrs.frozen
class Child:
    number: int


class DyingStore(SegmentStore):
    """A store whose writer dies at every `EVERY`-th passage of one point, `left` times."""

    point = ""
    left = 0
    passages = 0

    def _pass(self, point: str) -> None:
        if point == self.point and self.left and threading.current_thread().name == "perdure-journal":
            self.passages += 1
            if self.passages % EVERY == 0:
                self.left -= 1
                raise ActorKilled(point)

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
        self._pass("before the append")
        super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)
        self._pass("between append and commit")

    def sync(self) -> None:
        super().sync()
        self._pass("between commit and reply")


@pytest.mark.parametrize("point", ["before the append", "between append and commit", "between commit and reply"])
def test_journal_dies_at_one_point(tmp_path: Path, census: Census, point: str) -> None:
    store = DyingStore(tmp_path / "data")
    run(perdure.System(store=store), tmp_path, census, lambda: _arm(store, point), lambda: store.left == 0)
    assert store.left == 0


def _arm(store: DyingStore, point: str) -> None:
    store.point, store.left = point, KILLS


def test_worker_dies_while_its_handler_runs(tmp_path: Path, census: Census) -> None:
    system = perdure.System(tmp_path / "data")
    left = [KILLS]

    def die() -> None:
        if left[0]:
            left[0] -= 1
            system.actors.kill(threading.current_thread().name.removeprefix("perdure-"))

    run(system, tmp_path, census, lambda: None, lambda: not left[0], in_handler=die)
    assert left == [0]
    assert system.recovery is not None


def run(system: perdure.System, folder: Path, census: Census, arm: Any, enough: Any, in_handler: Any = lambda: None) -> None:
    """Publish until there were enough deaths; then nothing may be lost, repeated or invented."""
    sent: list[str] = []
    handled: list[str] = []

    @system.handler(Parent, parallelism=2, retries=10_000, backoff=0)
    def parent(message: Parent, ctx: perdure.Context) -> None:
        handled.append(ctx.id)
        ctx.publish(Child(message.number), id=f"{ctx.id}-child")
        in_handler()

    @system.handler(Child, retries=10_000, backoff=0)
    def child(message: Child, ctx: perdure.Context) -> None:
        handled.append(ctx.id)

    with system:
        arm()
        while not enough():
            sent.append(system.publish(Parent(len(sent)), id=f"p{len(sent)}"))
            assert len(sent) < 100 * KILLS * EVERY, "the kill point is never reached"
        system.drain(timeout=120.0)
    children = [f"{ident}-child" for ident in sent]
    census(perdure.Audit(folder / "data"), [*sent, *children], [*sent, *children], handled)
