"""Whether a command costs more because other messages wait: each beside 1,000, 10,000 and 100,000 live messages of mixed shape.

It counts the processor time of this process, which the disk and other processes change least.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["SIZES", "beside", "loads", "measured"]

SIZES = (1_000, 10_000, 100_000)
TIMES = 200
"""How often each command runs."""
BATCH = 500
FAR_S = 86_400.0
DRAIN_S = 600.0
POLL_S = 0.005
"""Between two checks of a condition; each takes processor time too."""


@perdure.message(name="benchmark.Waiting")
@attrs.frozen
class Waiting:
    """A message that stays: it has no handler."""

    number: int


@perdure.message(name="benchmark.Other")
@attrs.frozen
class Other:
    """Another such message, so that two types alternate."""

    number: int


@perdure.message(name="benchmark.Failing")
@attrs.frozen
class Failing:
    """A message that becomes a dead letter at once."""

    number: int


@perdure.message(name="benchmark.Retried")
@attrs.frozen
class Retried:
    """A message that fails once."""

    number: int


@perdure.message(name="benchmark.Parent")
@attrs.frozen
class Parent:
    """A message whose handler publishes another."""

    number: int


def _shapes(system: perdure.System, n: int) -> None:
    """Publish `n` messages of mixed shape, and check out some of them."""
    shapes: tuple[Callable[[int], dict[str, Any]], ...] = (
        lambda _i: {},
        lambda i: {"priority": i % 5},
        lambda i: {"key": f"k{i}"},
        lambda i: {"group": f"g{i % 97}"},
        lambda i: {"delay": FAR_S + i},
        lambda i: {"ttl": FAR_S + i},
        lambda _i: {"group": "one"},
    )
    for start in range(0, n, BATCH):
        some = range(start, min(n, start + BATCH))
        turn = [system.submit(Waiting(i) if i % 2 else Other(i), **shapes[i % len(shapes)](i)) for i in some]
        for future in turn:
            future.result()
    for _ in range(n // 20):
        system.checkout(Other, lease=FAR_S)


def _rate(act: Callable[[int], object], times: int) -> float:
    began = time.process_time()
    for i in range(times):
        act(i)
    return times / (time.process_time() - began)


def _system(folder: Path, n: int) -> perdure.System:
    options = perdure.Options(
        backlog_max=2 * n + 100_000, dead_letters_max=n + 10 * TIMES, log_failures=None, log_dead_letters=None
    )
    system = perdure.System(folder, options=options)

    @system.handler(Job, parallelism=2)
    def handle(_job: Job) -> None:
        pass

    @system.handler(Failing, retries=0)
    def fail(_failing: Failing) -> None:
        raise perdure.Reject(reason="")

    @system.handler(Retried, retries=1, backoff=perdure.Fixed(0.0))
    def retry(_retried: Retried, ctx: perdure.Context) -> None:
        if ctx.attempt == 1:
            raise ValueError

    @system.handler(Parent)
    def spread(parent: Parent, ctx: perdure.Context) -> None:
        ctx.publish(job(parent.number))

    return system


def measured(folder: Path, n: int) -> list[float]:
    """Return how often a second each command runs beside `n` live messages, in the order of `COMMANDS`."""
    system = _system(folder, n)
    with system:
        _shapes(system, n)
        ids: list[str] = []
        values = [_rate(act, TIMES) for act in _commands(system, ids)]
        values += [_dead(system, TIMES), *_letters(system), _replayed(system, TIMES), _purged(system)]
        many = max(TIMES, n // 25)
        _dead(system, many, group="of one")
        values += [_replayed(system, many), _snapshot(system)]
    again = _system(folder, n)
    began = time.process_time()
    with again:
        return [*values, again.admin.metrics().ready / (time.process_time() - began)]


def _commands(system: perdure.System, ids: list[str]) -> list[Callable[[int], object]]:
    def delivery() -> perdure.Delivery[Any]:
        found = system.checkout(Waiting, lease=FAR_S)
        if found is None:
            msg = "nothing is ready"
            raise LookupError(msg)
        return found

    def kept() -> None:
        held = delivery()
        held.extend(FAR_S)
        held.heartbeat(50, "half")
        held.requeue("again")

    def published(i: int, **options: Any) -> None:
        ids.append(system.publish(Other(i), **options))

    def passed(i: int, status: str, **options: Any) -> None:
        ident = system.publish(Waiting(i), **options)
        _wait(lambda: system.state(ident).status == status)

    def paused(_i: int) -> None:
        system.admin.pause(Failing)
        system.admin.resume(Failing)

    return [
        lambda i: system.publish(job(i)),
        lambda i: system.publish_many([job(i + k) for k in range(100)]),
        lambda i: published(i, key=f"new{i}"),
        lambda i: published(i, key=f"new{i}"),  # replaces the one before
        lambda i: published(i, key=f"kept{i}", dedup="append"),
        lambda i: published(i, ttl=FAR_S, delay=FAR_S / 2),
        lambda i: published(i, group="one"),
        lambda i: system.state(ids[-1 - i]),
        lambda i: system.cancel(ids[-1 - i]),  # at the end of that group
        lambda _i: delivery().ack(),
        lambda _i: kept(),
        lambda i: passed(i, "expired", ttl=0.001),
        lambda i: passed(i, "ready", delay=0.001),
        lambda i: system.call(job(i), timeout=DRAIN_S),
        lambda i: system.call(Retried(i), timeout=DRAIN_S),
        lambda i: system.call(Parent(i), timeout=DRAIN_S),
        paused,
        lambda _i: system.admin.metrics(),
    ]


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DRAIN_S
    while not condition():
        if time.monotonic() > until:
            msg = f"not done within {DRAIN_S:g} s"
            raise TimeoutError(msg)
        time.sleep(POLL_S)


def _dead(system: perdure.System, n: int, **options: Any) -> float:
    before = system.admin.metrics().dead_lettered
    began = time.process_time()
    for start in range(0, n, BATCH):
        system.publish_many([Failing(i) for i in range(start, min(n, start + BATCH))], **options)
    _wait(lambda: system.admin.metrics().dead_lettered == before + n)
    return n / (time.process_time() - began)


def _letters(system: perdure.System) -> list[float]:
    newest = system.dead_letters.list(limit=1)[0].id
    return [_rate(lambda _i: system.dead_letters.get(newest), TIMES), _rate(lambda _i: system.dead_letters.list(limit=10), TIMES)]


def _replayed(system: perdure.System, n: int) -> float:
    before = system.admin.metrics().dead_lettered
    began = time.process_time()
    system.dead_letters.replay_all()
    _wait(lambda: system.admin.metrics().dead_lettered == before + n)
    return n / (time.process_time() - began)


def _purged(system: perdure.System) -> float:
    began = time.process_time()
    return system.dead_letters.purge() / (time.process_time() - began)


def _snapshot(system: perdure.System) -> float:
    live = system.admin.metrics().ready
    began = time.process_time()
    system.admin.snapshot()
    return live / (time.process_time() - began)


COMMANDS = (
    "publish",
    "publish 100",
    "publish with a key",
    "replace by key",
    "publish with a key as a label",
    "publish with times",
    "publish in a group of a seventh",
    "state",
    "cancel at the end of that group",
    "checkout and ack",
    "checkout, extend, heartbeat, requeue",
    "publish, expire",
    "publish, wake",
    "call",
    "call, fail, retry",
    "call, publish in the handler",
    "pause and resume",
    "metrics",
    "a message dies",
    "get a dead letter",
    "list ten dead letters",
    "replay all, a letter",
    "purge, a letter",
    "replay all of one large group, a letter",
    "snapshot, a ready message",
    "start, a ready message",
)


def beside(command: str, n: int) -> str:
    """Return the name of a command's figure beside so many live messages."""
    return f"{command}, beside {n:,}"


def loads(_effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    return [
        Load(
            f"beside {n:,}",
            tuple(Measure(beside(command, n), "times/s") for command in COMMANDS),
            partial(measured, n=n),
        )
        for n in SIZES
    ]
