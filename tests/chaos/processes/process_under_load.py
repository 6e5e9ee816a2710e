"""A process to be killed: it publishes from several threads, handles messages, and notes in files what it did.

Arguments: data folder, notes folder, run number, seconds to publish (0: only drain). The checks are in `test_process_kills`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import attrs

import perdure

BESIDE = 20
"""Messages that wait beside the one whose handler kills the process."""


@attrs.frozen
class Job:
    name: str


@attrs.frozen
class Poison:
    name: str


def note(fd: int, ident: str) -> None:
    """Append a line with one write, so that it is in the file however the process ends."""
    line = f"{ident}\n".encode()
    if os.write(fd, line) != len(line):
        raise OSError("a short write to the notes")


def main() -> None:
    folder, notes, run, seconds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    sent, acknowledged, handled = (os.open(notes / name, flags, 0o644) for name in ("sent", "ack", "handled"))
    system = perdure.System(folder, options=perdure.Options(snapshot_events=500))

    @system.handler(Job, parallelism=2, retries=1000, backoff=perdure.Fixed(0.0))
    def job(message: Job, ctx: perdure.Context) -> None:
        note(handled, ctx.id)

    @system.handler(Poison, retries=2, backoff=perdure.Fixed(0.0))
    def poison(message: Poison, ctx: perdure.Context) -> None:
        note(handled, ctx.id)
        os.kill(os.getpid(), signal.SIGKILL)

    def publish(publisher: int, until: float) -> None:
        n = 0
        while time.monotonic() < until:
            ident = f"{run}-{publisher}-{n}"
            n += 1
            note(sent, ident)
            note(acknowledged, system.publish(Job(ident), id=ident))

    with system:
        print("started", system.recovery, flush=True)
        if run == "poison":
            system.admin.pause()  # all are acknowledged before the first death
            messages: list[Poison | Job] = [Poison("poison"), *(Job(f"beside-{n}") for n in range(BESIDE))]
            for message in messages:
                note(sent, message.name)
                note(acknowledged, system.publish(message, id=message.name))
        system.admin.resume()
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=publish, args=(n, until), daemon=True) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        system.drain(timeout=60.0)
    print("drained", flush=True)


if __name__ == "__main__":
    main()
