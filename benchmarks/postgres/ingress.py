"""Loads across processes: what another process publishes through the database, from its first publish to the last completion."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.load import Job
from benchmarks.postgres.sides import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    import perdure

__all__ = ["ingress_trip"]

BATCH = 1_000
DRAIN_S = 120.0
CLIENT = """
import sys, time, perdure
from benchmarks.load import job
dsn, seconds, size = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
batch = [job(i) for i in range(size)]
with perdure.connect(dsn, name="benchmark", timeout=60) as client:
    client.publish_many(batch)
    print("up", flush=True)
    sys.stdin.readline()
    sent, ends = 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        sent += len(client.publish_many(batch)) if size > 1 else bool(client.publish(batch[0]))
    print(sent, flush=True)
"""


def ingress_trip(dsn: str, seconds: float, size: int = BATCH) -> float:
    """Return messages a second that a client in another process publishes and a handler of the owner, this process, completes."""
    system = opened(dsn)
    handled: list[int] = []

    @system.handler(Job)
    def handle(message: Job, _ctx: perdure.Context) -> None:
        handled.append(message.quantity)

    with system:
        command = [sys.executable, "-c", CLIENT, dsn, str(seconds), str(size)]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lines = _lines(client)
        next(lines)
        _until(handled, size)
        began, before = time.perf_counter(), len(handled)
        _say(client, "go\n")
        sent = int(next(lines))
        _until(handled, before + sent)
        took_s = time.perf_counter() - began
        client.wait()
    return sent / took_s


def _lines(client: subprocess.Popen[str]) -> Iterator[str]:
    if client.stdout is not None:
        yield from client.stdout
    msg = "the client has ended before its time"
    raise RuntimeError(msg)


def _say(client: subprocess.Popen[str], line: str) -> None:
    if client.stdin is not None:
        client.stdin.write(line)
        client.stdin.flush()


def _until(handled: list[int], count: int) -> None:
    until = time.perf_counter() + DRAIN_S
    while len(handled) < count:
        if time.perf_counter() > until:
            msg = f"{len(handled)} of {count} messages were handled after {DRAIN_S:g} s"
            raise TimeoutError(msg)
        time.sleep(0.001)
