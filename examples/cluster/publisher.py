"""Publishes orders, waits until all are packed, and shows which worker has which partition. It handles nothing itself."""

from __future__ import annotations

import sys

from orders import Order, cluster


def main(count: int) -> None:
    """Publish so many orders, of ten customers."""
    with cluster(ownership="never") as queue:
        orders = [Order(number, f"customer {number % 10}") for number in range(count)]
        ids = [queue.publish(order, group=order.customer, keep_result=600.0) for order in orders]
        print(f"published {count} orders", flush=True)
        for ident in ids:
            queue.result(ident, timeout=120.0)
        print(f"all {count} are packed", flush=True)
        for partition in queue.partitions():
            print(f"partition {partition.number}: {partition.owner or 'no owner'}, taken over {partition.epoch} times", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
