"""A process of a shared folder as a program: `python bookkeeper.py FOLDER BOOKS`. It publishes, handles, and writes down both.

`BOOKS/PID.told` has the id of each message that it heard was published, `BOOKS/PID.handled` that of each that its handler got.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import perdure


@perdure.message(name="books.Entry")
@dataclass
class Entry:
    number: int


def append(path: Path, text: str) -> None:
    """Add to a file in one write, which a kill of this process does not undo."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, text.encode())
    os.close(fd)


def main(folder: str, books: Path) -> None:
    """Publish until standard input ends, or SIGTERM comes, then stop in good order."""
    told_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_stop.append(number))
    options = perdure.Options(snapshot_events=20_000)  # bounds what a takeover reads, however many there are
    system = perdure.System(folder, shared=True, options=options)

    @system.handler(Entry, parallelism=2, retries=10_000)
    def handle(_: Entry, context: perdure.Context) -> None:
        append(books / f"{os.getpid()}.handled", f"{context.id}\n")

    with system:
        print("up", flush=True)
        number = 0
        while not (told_to_stop or select.select([sys.stdin], [], [], 0.002)[0]):
            futures = [system.submit(Entry(number + n)) for n in range(10)]
            ids = [system.publish(Entry(number)), *(future.result(60) for future in futures)]
            append(books / f"{os.getpid()}.told", "".join(f"{ident}\n" for ident in ids))
            number += 10


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
