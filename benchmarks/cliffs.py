"""Whether a message costs more because others wait: each command beside 1,000, 10,000 and 100,000 live messages of mixed shape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

import perdure
from benchmarks.figure import Measure
from benchmarks.floors import HAND_OFF
from benchmarks.load import Job, Load, job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["SIZES", "beside", "loads", "measured"]

SIZES = (1_000, 10_000, 100_000)
TIMES = 200
"""How often each command is given."""
BATCH = 500
FAR_S = 86_400.0
DRAIN_S = 600.0


@perdure.message(name="benchmark.Waiting")
@attrs.frozen
class Waiting:
    """A message that stays: no handler takes it."""

    number: int


@perdure.message(name="benchmark.Other")
@attrs.frozen
class Other:
    """Another one, so that two types lie in turns."""

    number: int


@perdure.message(name="benchmark.Failing")
@attrs.frozen
class Failing:
    """A message that becomes a dead letter at once."""

    number: int


def _shapes(system: perdure.System, n: int) -> None:
    """Let `n` messages of mixed shape be live."""
    shapes: tuple[Callable[[int], dict[str, object]], ...] = (
        lambda _i: {},
        lambda i: {"priority": i % 5},
        lambda i: {"key": f"k{i}"},
        lambda i: {"group": f"g{i % 97}"},
        lambda i: {"delay": FAR_S + i},
        lambda i: {"ttl": FAR_S + i},
    )
    for start in range(0, n, BATCH):
        turn = [system.submit(Waiting(i) if i % 2 else Other(i), **shapes[i % 6](i)) for i in range(start, min(n, start + BATCH))]
        for future in turn:
            future.result()


def _rate(act: Callable[[int], object], times: int) -> float:
    began = time.perf_counter()
    for i in range(times):
        act(i)
    return times / (time.perf_counter() - began)


def measured(folder: Path, n: int) -> list[float]:
    """Give how often a second each command is done beside `n` live messages, in the order of `COMMANDS`."""
    options = perdure.Options(backlog_max=2 * n + 100_000, dead_letters_max=2 * TIMES)
    system = perdure.System(folder, options=options)

    @system.handler(Job, parallelism=2)
    def handle(_job: Job) -> None:
        pass

    @system.handler(Failing, retries=0)
    def fail(_failing: Failing) -> None:
        raise perdure.Reject(reason="")

    with system:
        _shapes(system, n)
        ids: list[str] = []
        return [_rate(act, TIMES) for act in _commands(system, ids)] + [_dead(system), _replayed(system)]


def _commands(system: perdure.System, ids: list[str]) -> list[Callable[[int], object]]:
    def check_out(_i: int) -> None:
        delivery = system.checkout(Waiting)
        if delivery is not None:
            delivery.ack()

    def published(i: int, **options: object) -> None:
        ids.append(system.publish(Other(i), **options))

    return [
        lambda i: system.publish(job(i)),
        lambda i: system.publish_many([job(i + k) for k in range(100)]),
        lambda i: published(i, key=f"new{i}"),
        lambda i: published(i, key=f"new{i}"),  # takes the place of the one before
        lambda i: published(i, group="g1"),
        lambda i: published(i, ttl=FAR_S, delay=FAR_S / 2),
        lambda i: system.state(ids[-1 - i]),
        lambda i: system.cancel(ids[-1 - i]),
        check_out,
        lambda i: system.call(job(i), timeout=DRAIN_S),
        lambda _i: system.admin.metrics(),
    ]


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DRAIN_S
    while not condition():
        if time.monotonic() > until:
            msg = f"not done within {DRAIN_S:g} s"
            raise TimeoutError(msg)
        time.sleep(0.001)


def _dead(system: perdure.System) -> float:
    began = time.perf_counter()
    system.publish_many([Failing(i) for i in range(TIMES)])
    _wait(lambda: system.admin.metrics().dead_letters == TIMES)
    return TIMES / (time.perf_counter() - began)


def _replayed(system: perdure.System) -> float:
    before = system.admin.metrics().dead_lettered
    began = time.perf_counter()
    system.dead_letters.replay_all()
    _wait(lambda: system.admin.metrics().dead_lettered == before + TIMES)
    return TIMES / (time.perf_counter() - began)


COMMANDS = (
    "publish",
    "publish 100",
    "publish with a key",
    "replace by key",
    "publish in a group of hundreds",
    "publish with times",
    "state",
    "cancel",
    "checkout and ack",
    "call",
    "metrics",
    "dead letters",
    "replay all",
)


def beside(command: str, n: int) -> str:
    """Name a command's figure beside so many live messages."""
    return f"{command}, beside {n:,}"


def loads(_effort: Effort) -> Sequence[Load]:
    """Give the loads of this group."""
    return [
        Load(
            f"beside {n:,}",
            tuple(Measure(beside(command, n), "times/s", HAND_OFF) for command in COMMANDS),
            lambda folder, n=n: measured(folder, n),  # type: ignore[misc]
        )
        for n in SIZES
    ]
