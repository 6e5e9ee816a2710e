"""The monkey: kills actors, stalls handlers, and delays and repeats what actors tell each other, while a host's own work goes on.

All of it from a seeded schedule. What must hold meanwhile is the host's to check. A whole simulated world is in `simulated`; how
long a successor takes beside a given backlog is measured in `recovery`.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.threads.interference import Interference
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from perdure.actors.core.actor import Actor
    from perdure.system import System

__all__ = ["Kill", "Monkey", "Recovered"]

BACK_WITHIN_S = 30.0
LOOK_EACH_S = 0.001


@attrs.frozen
class Kill:
    """One kill: who, and how long it took until a successor had taken its place and its state (None: not within 30 s)."""

    actor: str
    back_after_s: float | None


@attrs.frozen
class Recovered:
    """How long one role took to come back: kills, and the median and the 99th percentile in seconds."""

    kills: int
    median_s: float
    p99_s: float


class Monkey:
    """Troubles a running system from a thread of its own: `with Monkey(system, seed=1): ...`.

    Args:
        system: whose actors; it must be running for as long as the monkey is.
        seed: of the schedule: who dies, after which pause, which messages come late or twice. (When exactly a thread dies is the
            machine's to say.)
        rate: kills a second, on average; a kill waits until the one before has been recovered from. 0: none.
        targets: names or beginnings of names (`worker`); all unless given. Whom it kills, and whose messages it delays or repeats.
        repeat: the share of the messages between actors that are told twice, of those that the design calls harmless.
        delay: the share of the messages between actors that come late, and all that follow them to the same actor with them.
        stall: the share of handler calls that begin late.
        late_s: how late, at most.
    """

    def __init__(
        self,
        system: System,
        *,
        seed: int = 0,
        rate: float = 20.0,
        targets: Sequence[str] = (),
        repeat: float = 0.0,
        delay: float = 0.0,
        stall: float = 0.0,
        late_s: float = 0.02,
    ) -> None:
        if not rate >= 0:
            msg = f"rate: kills a second, 0 or more, not {rate!r}"
            raise ValueError(msg)
        for name, share in (("repeat", repeat), ("delay", delay), ("stall", stall)):
            if not 0 <= share <= 1:
                msg = f"{name}: a share from 0 to 1, not {share!r}"
                raise ValueError(msg)
        self.system = system
        self.seed = seed
        self.rate = rate
        self.targets = tuple(targets)
        self.kills: list[Kill] = []
        self.interference = Interference(
            system, seed=seed, targets=self.targets, repeat=repeat, delay=delay, stall=stall, late_s=late_s
        )
        self._rng = random.Random(seed)  # noqa: S311 - a schedule, to be repeated
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: it has begun already.
            NotRunning: the system does not run.
        """
        if self._thread is not None:
            msg = "this monkey is at work already"
            raise RuntimeError(msg)
        self.interference.begin()
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="perdure-monkey", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Trouble nobody any more; returns when the last one killed has come back, and all that was late has arrived."""
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
            self.interference.end()

    def __enter__(self) -> Self:
        """See `start`."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """See `stop`."""
        self.stop()

    def kill_one(self) -> Kill | None:
        """Kill one target now and wait for its successor; None where there is no target."""
        names = sorted(name for name in self.system.actors if not self.targets or name.startswith(self.targets))
        return self.kill(self._rng.choice(names)) if names else None

    def kill(self, name: str) -> Kill | None:
        """Kill the actor of a name now and wait for its successor; None where there is none."""
        try:
            before = self.system.runtime.directory.actors[name]
        except (KeyError, PerdureError):
            return None  # it was let go in between
        began_s = time.monotonic()
        before.kill()
        kill = Kill(name, self._wait_for_successor(name, before, began_s))
        self.kills.append(kill)
        return kill

    def report(self) -> dict[str, Recovered]:
        """Give how long each role took to come back."""
        by_role: dict[str, list[float]] = {}
        for kill in self.kills:
            if kill.back_after_s is not None:
                by_role.setdefault(kill.actor.partition(":")[0], []).append(kill.back_after_s)
        return {
            role: Recovered(len(times), sorted(times)[len(times) // 2], sorted(times)[int(len(times) * 0.99)])
            for role, times in sorted(by_role.items())
        }

    def _run(self) -> None:
        if not self.rate:
            self._ended.wait()
            return
        while not self._ended.wait(self._rng.expovariate(self.rate)):
            if not self.system.running:
                return
            self.kill_one()

    def _wait_for_successor(self, name: str, before: Actor, began_s: float) -> float | None:
        """Wait until another holds the name and has its state; a worker that was let go meanwhile is not waited for."""
        while time.monotonic() - began_s < BACK_WITHIN_S:
            try:
                now = self.system.runtime.directory.actors.get(name)
            except PerdureError:
                return None
            if now is None:
                return None
            if now is not before and now.in_loop and getattr(now, "ready", True):
                return time.monotonic() - began_s
            time.sleep(LOOK_EACH_S)
        return None
