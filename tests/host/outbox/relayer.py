"""A shared System as a program that relays an outbox: `python relayer.py FOLDER DATABASE LOG OPTIONS`.

OPTIONS is JSON: `ownership`, `every_s`, `name`. Each line of the log is `what pid`: a `look` at the table, or the id of what was
handled.
A line on standard input writes a row and tells the relay; its end stops the program.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import perdure

if TYPE_CHECKING:
    from pathlib import Path


@perdure.message(name="relayer.Shipped")
@dataclass
class Shipped:
    number: int


def note(log: str, what: str) -> None:
    """Add a line to the log, in one write."""
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{what} {os.getpid()}\n".encode())
    os.close(fd)


def noted(log: Path) -> list[tuple[str, int]]:
    """Return the lines of the log."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(what, int(pid)) for what, pid in map(str.split, lines)]


def write(database: str, *numbers: int) -> None:
    """Commit rows to the outbox."""
    connection = sqlite3.connect(database, timeout=30.0)
    with connection:
        for number in numbers:
            perdure.Outbox(connection).publish(Shipped(number), id=f"shipped-{number}")
    connection.close()


def connect(database: str, log: str) -> sqlite3.Connection:
    """Return a connection that notes each look at the table's rows."""
    connection = sqlite3.connect(database, timeout=30.0)
    connection.set_trace_callback(lambda sql: note(log, "look") if sql.startswith("SELECT seq") else None)
    return connection


def main(folder: str, database: str, log: str, options: dict[str, Any]) -> None:
    """Relay and handle until standard input ends."""
    system = perdure.System(folder, shared=True, ownership=options.pop("ownership", "auto"))
    system.handler(Shipped, retries=5, backoff=0)(lambda _, ctx: note(log, ctx.id))
    with system, perdure.OutboxRelay(system, lambda: connect(database, log), **options) as relay:
        print(f"up {system.role}", flush=True)
        for line in sys.stdin:
            write(database, int(line))
            relay.notify()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
