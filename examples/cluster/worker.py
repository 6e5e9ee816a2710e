"""One of the workers: run one on each host, all by the same command. SIGTERM ends it in good order."""

from __future__ import annotations

import os
import socket

from orders import Order, cluster

queue = cluster()


@queue.handler(Order, parallelism=4)
def pack(order: Order) -> str:
    """Pack an order; all orders of one customer are packed in their order, because they are one group."""
    print(f"{socket.gethostname()}, process {os.getpid()}, packs {order.number} for {order.customer}", flush=True)
    return f"order {order.number} is packed"


if __name__ == "__main__":
    queue.serve(started=lambda: print("at work", flush=True))
