"""The Celery application that its workers import."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.peers.started import BROKER

app = Celery("benchmark", broker=os.environ[BROKER])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=16,
    broker_connection_retry_on_startup=True,
)


@app.task
def handle(message: dict[str, object]) -> None:
    """Take a message."""
