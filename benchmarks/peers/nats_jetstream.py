"""NATS JetStream on files: a consumer process that fetches 100 at once and acks each, this process publishes 100 at once."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.peers.started import BROKER, free_port, need, server, worker
from benchmarks.peers.trip import small_dict, trip

__all__ = ["durability", "run"]

STREAM, SUBJECT, DURABLE, BATCH = "JOBS", "jobs", "workers", 100
FETCH_S = 1.0
CHECK_S = 10.0


def _config(folder: Path, port: int, *, sync_always: bool) -> str:
    sync = ", sync_interval: always" if sync_always else ""
    return f'listen: 127.0.0.1:{port}\njetstream {{ store_dir: "{folder}"{sync} }}\n'


@functools.cache
def _knows_sync_always() -> bool:
    """Return whether this server has the setting; older ones (Debian 12 has 2.9) refuse it."""
    if shutil.which("nats-server") is None:
        return True
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nats.conf"
        config.write_text(_config(Path(folder), 4222, sync_always=True), encoding="utf-8")
        return not subprocess.run(["nats-server", "-t", "-c", config], capture_output=True, timeout=CHECK_S, check=False).returncode


def durability() -> str:
    """Return how durable this server is."""
    if _knows_sync_always():
        return "file storage, synced at each message; acks: at least once"
    return "**not synced**: file storage; the server of this package has no `sync_interval: always`, and syncs every two minutes"


def run(folder: Path, seconds: float) -> float:
    """Make the trip. Return messages a second."""
    nats = need("nats", "nats-py")
    port = free_port()
    config = folder / "nats.conf"
    config.write_text(_config(folder / "data", port, sync_always=_knows_sync_always()), encoding="utf-8")
    url = f"nats://127.0.0.1:{port}"
    with server("nats-server", "nats-server", ["-c", str(config)], port), asyncio.Runner() as runner:
        client = runner.run(nats.connect(url))
        stream = client.jetstream()
        runner.run(stream.add_stream(name=STREAM, subjects=[SUBJECT]))
        runner.run(stream.pull_subscribe(SUBJECT, durable=DURABLE, stream=STREAM))

        async def publish(first: int) -> None:
            bodies = [msgspec.msgpack.encode(small_dict(n)) for n in range(first, first + BATCH)]
            await asyncio.gather(*(stream.publish(SUBJECT, body) for body in bodies))

        def send(i: int) -> int:
            runner.run(publish(i))
            return BATCH

        def left() -> int:
            info = runner.run(stream.consumer_info(STREAM, DURABLE))
            return int(info.num_pending + info.num_ack_pending)

        with worker("benchmarks.peers.nats_jetstream", broker=url):
            rate = trip(send, left, seconds)
        runner.run(client.close())
        return rate


def handle(_message: Any) -> None:
    """Take a message."""


async def consume(url: str) -> None:
    """Fetch, handle and ack until killed."""
    nats = need("nats", "nats-py")
    client = await nats.connect(url)
    subscription = await client.jetstream().pull_subscribe_bind(durable=DURABLE, stream=STREAM)
    while True:
        try:
            messages = await subscription.fetch(BATCH, timeout=FETCH_S)
        except TimeoutError:
            continue
        for message in messages:
            handle(msgspec.msgpack.decode(message.data))
            await message.ack()


if __name__ == "__main__":
    asyncio.run(consume(os.environ[BROKER]))
