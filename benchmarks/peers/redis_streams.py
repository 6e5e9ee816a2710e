"""Raw Redis Streams through redis-py, pipelines of 100: a consumer process that reads and acks 100 at once, this process adds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.peers.started import BROKER, need, redis_server, worker
from benchmarks.peers.trip import small_dict, trip

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]

STREAM, GROUP, BATCH = "jobs", "workers", 100


def run(folder: Path, seconds: float) -> float:
    """Make the trip. Return messages a second."""
    redis = need("redis", "redis")
    with redis_server(folder) as port:
        client = redis.Redis(port=port)
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)

        def send(i: int) -> int:
            pipeline = client.pipeline(transaction=False)
            for n in range(i, i + BATCH):
                pipeline.xadd(STREAM, {"m": msgspec.msgpack.encode(small_dict(n))})
            pipeline.execute()
            return BATCH

        def left() -> int:
            (group,) = client.xinfo_groups(STREAM)
            return int(group["lag"] or 0) + int(group["pending"])

        with worker("benchmarks.peers.redis_streams", broker=str(port)):
            return trip(send, left, seconds)


def handle(_message: Any) -> None:
    """Take a message."""


def consume(port: int) -> None:
    """Read, handle and ack until killed."""
    client = need("redis", "redis").Redis(port=port)
    while True:
        for _, entries in client.xreadgroup(GROUP, "one", {STREAM: ">"}, count=BATCH, block=1000) or ():
            for _, fields in entries:
                handle(msgspec.msgpack.decode(fields[b"m"]))
            client.xack(STREAM, GROUP, *(ident for ident, _ in entries))


if __name__ == "__main__":
    consume(int(os.environ[BROKER]))
