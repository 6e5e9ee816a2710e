"""A shared System as a program, whose handlers note what they begin and end: `python crew.py FOLDER LOG OPTIONS`.

OPTIONS is JSON: `parallelism`, `limit`, `ownership`, `deputy`, `kind` and so on. Each line of the log is `what number pid attempt`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import perdure

if TYPE_CHECKING:
    from pathlib import Path


@perdure.message(name="crew.Job")
@dataclass
class Job:
    number: int
    seconds: float = 0.0


@perdure.message(name="crew.After")
@dataclass
class After:
    number: int


def note(log: str, what: str, number: int, attempt: int = 0) -> None:
    """Add a line to the log, in one write."""
    line = f"{what} {number} {os.getpid()} {attempt}\n".encode()
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line)
    os.close(fd)


def noted(log: Path) -> list[tuple[str, int, int, int]]:
    """Return the lines of the log."""
    text = log.read_text() if log.exists() else ""
    return [(what, int(number), int(pid), int(attempt)) for what, number, pid, attempt in map(str.split, text.splitlines())]


def in_child(job: Job, ctx: perdure.Context) -> None:
    note(os.environ["CREW_LOG"], "child", job.number, ctx.attempt)


def crew(folder: str, log: str, options: dict[str, Any]) -> perdure.System:
    """Make a shared System with the handlers that `options` ask for."""
    os.environ["CREW_LOG"] = log
    kind, publishes = options.pop("kind", "thread"), options.pop("publishes", False)
    ownership, deputy = options.pop("ownership", "auto"), options.pop("deputy", False)
    system = perdure.System(folder, shared=True, ownership=ownership, deputy=deputy)

    def work(job: Job, ctx: perdure.Context) -> None:
        note(log, "begin", job.number, ctx.attempt)
        if publishes:
            ctx.publish(After(job.number))
        until_s = time.monotonic() + job.seconds
        while time.monotonic() < until_s and not ctx.cancelled:
            time.sleep(0.01)
        if job.number < 0:
            msg = "no such job"
            raise ValueError(msg)
        note(log, "cancelled" if ctx.cancelled else "end", job.number, ctx.attempt)

    async def awork(job: Job, ctx: perdure.Context) -> None:
        note(log, "begin", job.number, ctx.attempt)
        await asyncio.sleep(job.seconds)
        note(log, "end", job.number, ctx.attempt)

    def batch(jobs: perdure.Batch[Job]) -> None:
        for item in jobs:
            note(log, "batch", item.message.number, item.attempt)

    match kind:
        case "thread":
            system.handler(Job, **options)(work)
        case "async":
            system.handler(Job, **options)(awork)
        case "batch":
            system.batch_handler(Job, size=50, **options)(batch)
        case "process":
            system.handler(Job, isolation="process", **options)(in_child)
        case "ticks":
            ticks = system.every(0.1, name="beat", **options)
            ticks(lambda tick: note(log, "tick", round(tick.due.timestamp() * 1000)))
        case "after":
            system.handler(After, **options)(lambda after: note(log, "after", after.number))
    return system


if __name__ == "__main__":
    with crew(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])) as system:
        print(f"up {system.role}", flush=True)
        sys.stdin.readline()
    print("down", flush=True)
