"""Write the small folder of the current format that tests/golden/ keeps: same clock, seed and store id, so the same history.

Run it only for a new format version. A folder that is checked in is never written again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import attrs

import perdure
from perdure.store import SegmentStore

STORE_ID = bytes(range(16))


@perdure.message(name="golden.Order")
@attrs.frozen
class Order:
    name: str


def make(folder: Path) -> None:
    """Publish, supersede, complete, dead-letter and leave waiting: one message of each kind."""
    clock = perdure.ManualClock()
    store = SegmentStore(folder, new_id=lambda: STORE_ID, now_us=clock.now_us)
    with perdure.System(store=store, clock=clock, seed=1) as system:
        system.publish(Order("older"), id="older", key="k")
        system.publish(Order("newer"), id="newer", key="k")
        done = system.checkout(Order)
        if done is None:
            raise LookupError("nothing to check out")
        done.ack()
        system.publish(Order("dead"), id="dead")
        failed = system.checkout(Order, retries=0)
        if failed is None:
            raise LookupError("nothing to check out")
        failed.requeue("broken")
        system.publish(Order("later"), id="later", delay=3600.0)
        system.publish(Order("waits"), id="waits", headers={"a": "b"})
        system.publish_many([Order(f"plain-{i}") for i in range(4)])  # since format 2: one message block, with ids in a row


if __name__ == "__main__":
    make(Path(sys.argv[1]))
