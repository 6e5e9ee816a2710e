"""A database that is not next door: a line that takes `DELAY_S` there and back, and publishers that share appends over it.

The line is a process of its own (`python -m benchmarks.postgres.slow_line FROM TO SECONDS`, folders of Unix sockets), so that it
takes nothing of the publishers' interpreter.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import Job, Missing, job, together
from benchmarks.peers.started import process
from benchmarks.postgres.sides import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    import perdure

__all__ = ["DELAY_S", "PUBLISHERS", "over_a_line"]

DELAY_S = 2.4e-3
PUBLISHERS = (1, 8, 64)
SOCKET = ".s.PGSQL.5432"
READ_BYTES = 1 << 16
START_S = 10.0
DRAWN_S = 0.3
"""Seconds of publishing before it is measured: by then connections are open, and as many publishers as later share an append."""


def over_a_line(dsn: str, folder: Path, seconds: float) -> tuple[float, ...]:
    """Return single publishes a second: by so many publishers that wait for each, not handled and handled; by one that submits."""
    near = folder / "near"
    near.mkdir()
    through = dsn.replace(f"host={folder}", f"host={near}")
    found = []
    with _line(folder, near):
        for is_handled in (True, False):
            system = opened(through)
            if is_handled:
                system.handler(Job)(_handle)
            with system:
                found += [_published(system, publishers, seconds) for publishers in PUBLISHERS]
        with opened(through) as system:
            return (*found, _submitted(system, seconds))


def _handle(_job: Job, _ctx: perdure.Context) -> None:
    pass


def _published(system: perdure.System, publishers: int, seconds: float) -> float:
    def publish(i: int) -> int:
        system.publish(job(i))
        return 1

    together(publishers, DRAWN_S, publish)
    return together(publishers, seconds, publish)


def _submitted(system: perdure.System, seconds: float) -> float:
    futures: list[Future[str]] = []
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        futures.append(system.submit(job(len(futures))))
    for future in futures:
        future.result()
    return len(futures) / (time.perf_counter() - began)


@contextlib.contextmanager
def _line(far: Path, near: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.postgres.slow_line", os.fspath(near), os.fspath(far), str(DELAY_S)]
    with process(command) as child:
        until = time.monotonic() + START_S
        while not (near / SOCKET).exists():
            if child.poll() is not None or time.monotonic() > until:
                msg = f"the line does not start: status {child.poll()}"
                raise Missing(msg)
            time.sleep(0.01)
        yield


def main(near: Path, far: Path, delay_s: float) -> None:
    """Carry what comes to one socket to another and back, half of the delay later each way, until the process is ended."""
    listens = socket.socket(socket.AF_UNIX)
    listens.bind(os.fspath(near / SOCKET))
    listens.listen(64)
    while True:
        here, _ = listens.accept()
        there = socket.socket(socket.AF_UNIX)
        there.connect(os.fspath(far / SOCKET))
        for source, target in ((here, there), (there, here)):
            waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
            threading.Thread(target=_take, args=(source, waiting, delay_s / 2), daemon=True).start()
            threading.Thread(target=_give, args=(waiting, target), daemon=True).start()


def _take(source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]], delay_s: float) -> None:
    data = b"begin"
    while data:
        try:
            data = source.recv(READ_BYTES)
        except OSError:
            data = b""
        waiting.put((time.perf_counter() + delay_s, data))


def _give(waiting: queue.SimpleQueue[tuple[float, bytes]], target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            due_s, data = waiting.get()
            time.sleep(max(0.0, due_s - time.perf_counter()))
            if not data:
                break
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
