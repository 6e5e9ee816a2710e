"""The Dramatiq application that its workers import."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.started import BROKER

broker = RedisBroker(url=os.environ[BROKER])
dramatiq.set_broker(broker)


@dramatiq.actor
def handle(message: dict[str, object]) -> None:
    """Take a message."""
