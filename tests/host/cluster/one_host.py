"""One host of a cluster, as a process of its own: handles messages, and writes down each that it has handled.

Arguments: the database, the name of the queue, the number of partitions, the lease in seconds, the file. It ends on SIGTERM.
"""

from __future__ import annotations

import os
import sys
import time

import attrs

import perdure


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


@perdure.message(name="ask")
@attrs.frozen
class Ask:
    name: str


def main(dsn: str, name: str, partitions: str, lease: str, path: str) -> None:
    """Run until SIGTERM."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    cluster = perdure.Cluster(dsn, name=name, partitions=int(partitions), lease=float(lease))

    @cluster.handler(Order, parallelism=2)
    def handle(order: Order, ctx: perdure.Context) -> None:
        if order.name.startswith("slow"):
            time.sleep(0.3)  # the work itself
        os.write(file, f"{os.getpid()} {ctx.id}\n".encode())

    @cluster.handler(Ask)
    def answer(ask: Ask) -> str:
        return f"{ask.name} in {os.getpid()}"

    cluster.serve(started=lambda: os.write(1, b"ready\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
