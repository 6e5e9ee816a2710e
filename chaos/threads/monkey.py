"""The monkey: it kills actors, stalls handlers, and delays and repeats messages between actors while a host's own work goes on.

The schedule comes from a seed. The host checks what must hold meanwhile. `interference` has all faults but the kills; a whole
system in virtual time is in `simulation`; recovery times beside a given backlog are measured in `recovery_times`.
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
POLL_S = 0.001


@attrs.frozen
class Kill:
    """One kill."""

    actor: str
    back_after_s: float | None
    """Seconds until a successor had its state; None if none had within 30 s."""


@attrs.frozen
class Recovered:
    """How long one role took to come back, over so many kills: the median and the 99th percentile in seconds."""

    kills: int
    median_s: float
    p99_s: float


class Monkey:
    """Disturbs a running system from a thread of its own: `with Monkey(system, seed=1): ...`.

    Args:
        system: the system to disturb; it must run for as long as the monkey does.
        seed: of the schedule: which actors die, after which pauses, which messages arrive late or twice. The exact moment of a
            death depends on the machine.
        rate: kills a second, on average; 0: none. A kill waits until the system has recovered from the one before.
        targets: names of actors or their beginnings (`worker`), to kill and to delay or repeat messages for; all unless given.
        repeat: the share of messages between actors that arrive twice, of those for which that is harmless.
        delay: the share of messages between actors that arrive late. Later messages to the same actor wait behind them.
        stall: the share of handler calls that begin late.
        late_s: the longest delay in seconds.

    Raises:
        ValueError: `rate` is negative, or a share is not from 0 to 1.
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
        self._rng = random.Random(seed)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: it runs already.
            NotRunning: the system does not run.
        """
        if self._thread is not None:
            msg = "this monkey runs already"
            raise RuntimeError(msg)
        self.interference.begin()
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="perdure-monkey", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End. Returns when the last killed actor has come back and all late messages have arrived."""
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
        """Kill one target now and wait for its successor. Return None if there is no target."""
        names = sorted(name for name in self.system.actors if not self.targets or name.startswith(self.targets))
        return self.kill(self._rng.choice(names)) if names else None

    def kill(self, name: str) -> Kill | None:
        """Kill the actor of a name now and wait for its successor. Return None if no actor has that name."""
        try:
            before = self.system.runtime.directory.actors[name]
        except (KeyError, PerdureError):
            return None  # it has ended in between
        began_s = time.monotonic()
        before.kill()
        kill = Kill(name, self._wait_for_successor(name, before, began_s))
        self.kills.append(kill)
        return kill

    def report(self) -> dict[str, Recovered]:
        """Return by role how long its actors took to come back."""
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
        """Wait until another actor has the name and its state. Return None at once if the name is gone, as for a retired worker."""
        while time.monotonic() - began_s < BACK_WITHIN_S:
            try:
                now = self.system.runtime.directory.actors.get(name)
            except PerdureError:
                return None
            if now is None:
                return None
            if now is not before and now.in_loop and getattr(now, "ready", True):
                return time.monotonic() - began_s
            time.sleep(POLL_S)
        return None
