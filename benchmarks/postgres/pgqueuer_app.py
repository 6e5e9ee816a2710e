"""The worker of the PGQueuer peer: `python -m benchmarks.postgres.pgqueuer_app`."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import psycopg
from pgqueuer import PgQueuer
from pgqueuer.db import PsycopgDriver

from benchmarks.peers.started import BROKER

if TYPE_CHECKING:
    from pgqueuer.models import Job

__all__ = ["ENTRYPOINT"]

ENTRYPOINT = "handle"
BATCH = 100


async def main() -> None:
    """Handle jobs until the process is ended."""
    connection = await psycopg.AsyncConnection.connect(os.environ[BROKER], autocommit=True)
    queue = PgQueuer(PsycopgDriver(connection))

    @queue.entrypoint(ENTRYPOINT)
    async def handle(job: Job) -> None:
        json.loads(job.payload or b"{}")

    await queue.run(batch_size=BATCH)


if __name__ == "__main__":
    asyncio.run(main())
