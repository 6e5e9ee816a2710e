"""A batch holds each message once, even if its delivery lies in the mailbox twice, as after the death of another worker."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs

import perdure
from perdure.store import MemoryStore

if TYPE_CHECKING:
    from perdure.actors.workers.pools.pool import WorkerDelivery

PATIENCE_S = 30.0


@perdure.message(name="tests.Piece")
@attrs.frozen
class Piece:
    number: int


def test_a_delivery_that_is_put_back_while_its_batch_fills_is_handled_once() -> None:
    system = perdure.System(store=MemoryStore())
    batches: list[list[int]] = []

    @system.batch_handler(Piece, size=3, wait=PATIENCE_S)
    def handle(batch: perdure.Batch[Piece]) -> None:
        batches.append([item.message.number for item in batch])

    with system:
        system.publish(Piece(1))
        pool = system.runtime.pools.by_type["tests.Piece"]
        first = _claimed(pool.open)
        pool.inbox.put(first)  # as the dispatcher does with what may have been lost, see `Dispatcher._worker_down`
        system.publish_many([Piece(2), Piece(3)])  # the batch is full
        system.drain(PATIENCE_S)
        assert system.admin.metrics().completed == 3
    assert batches == [[1, 2, 3]]


def _claimed(deliveries: dict[int, WorkerDelivery]) -> WorkerDelivery:
    """Wait until the worker has the delivery."""
    pause = threading.Event()
    for _ in range(3000):
        for delivery in list(deliveries.values()):
            if delivery.claim:
                return delivery
        pause.wait(0.01)
    msg = "no worker took it"
    raise AssertionError(msg)
