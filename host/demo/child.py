"""The worker process of the demo: it publishes the orders, handles them, and on request kills its actors and then itself.

`runner` starts it as `python -m perdure.demo.child`. It prints its progress on standard output, one JSON object per line.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.demo.orders import Receipts, lines, register
from perdure.options import Options
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Callable

    import pykka

    from perdure.operations.metrics import Metrics

__all__ = ["main"]

FINISHED_MAX = 10_000_000
"""Ids that are remembered: after the kill the whole file is published again, and no line may be handled twice."""
PAUSE_S = 0.04
KILL_WAIT_S = 10.0
ROLES = ("journal", "queue", "dispatcher", "dead_letters", "timer")
SEED = 20


def main() -> None:
    """Run with the arguments `folder input output kills`; kills -1 means to finish without any."""
    folder, source, output, kills = sys.argv[1:]
    receipts = Receipts(Path(output))
    system = System(folder, options=Options(finished_max=FINISHED_MAX))
    register(system, receipts)
    with system:
        total = _publish(system, Path(source))
        if int(kills) >= 0:
            _await_half(system, receipts, total)
            _kill_actors(system, int(kills))
            os.kill(os.getpid(), signal.SIGKILL)
        while _waiting(now := system.admin.metrics()):
            _report(progress=_ended(receipts, now), total=total)
            time.sleep(PAUSE_S)
        system.drain()
        _report(progress=_ended(receipts, system.admin.metrics()), total=total)
    receipts.close()


def _publish(system: System, source: Path) -> int:
    stem = source.name[:60]
    futures = [system.submit(order, id=f"{stem}:{order.line}") for order in lines(source)]
    for future in futures:
        future.result()
    return len(futures)


def _await_half(system: System, receipts: Receipts, total: int) -> None:
    while _waiting(now := system.admin.metrics()) and _ended(receipts, now) < total // 2:
        _report(progress=_ended(receipts, now), total=total)
        time.sleep(PAUSE_S)


def _kill_actors(system: System, kills: int) -> None:
    """Kill one actor after the other, each role at least once if there are enough kills, and wait for each successor."""
    rng = random.Random(SEED)  # noqa: S311 - which actor dies, no secret
    roles = list(ROLES)
    rng.shuffle(roles)
    killed = 0
    for turn in range(kills):
        name = roles[turn] if turn < len(roles) else rng.choice(sorted(set(system.actors) - {"supervisor"}))
        try:
            victim = system.actors[name]
            system.actors.kill(name)
        except KeyError:
            continue  # a worker was just replaced under another name: no kill took place
        _report(killed=name)
        killed += 1
        _await(f"a successor of the actor {name}", partial(_is_gone, system, name, victim))
    # The process is killed next, so a restart that is not recorded by then is never recorded.
    _await("a record of all restarts", lambda: sum(1 for _ in system.audit.events(type="ActorRestarted")) >= killed)


def _is_gone(system: System, name: str, victim: pykka.ActorRef[Any]) -> bool:
    return name not in system.actors or system.actors[name] is not victim


def _await(what: str, condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + KILL_WAIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            msg = f"waited {KILL_WAIT_S:g} s in vain for {what}"
            raise TimeoutError(msg)
        time.sleep(0.002)


def _waiting(now: Metrics) -> int:
    return now.ready + now.delayed + now.held + now.in_flight


def _ended(receipts: Receipts, now: Metrics) -> int:
    """Return the number of lines with a receipt or a dead letter."""
    return len(receipts.written) + now.dead_letters


def _report(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
