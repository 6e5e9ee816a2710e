"""Publishing through the front door: ids, deduplication, bounds, atomic batches, delays and order.

What handlers do is in `test_handling`; input that is refused is in `test_bad_input`.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.events import vocabulary as ev
from tests.programs import run
from tests.records import events_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Order:
    """A message."""

    name: str
    number: int = 0


def test_published_message_is_handled_once(folder: Path, collected: Collected) -> None:
    """Scenario 1: its id is returned, and ids are sortable by time."""
    system = perdure.System(folder)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add((ctx.id, order))

    with system:
        ids = [system.publish(Order("a", n)) for n in range(20)]
        system.drain(timeout=10)
    assert ids == sorted(set(ids))
    assert collected.items == [(ident, Order("a", n)) for n, ident in enumerate(ids)]


@pytest.mark.long
def test_many_producer_threads(folder: Path, collected: Collected) -> None:
    """Scenario 2: 50 threads publish 1,000 each; ids distinct, each message handled, none twice."""
    system = perdure.System(folder)
    ids: list[str] = []

    @system.handler(Order, parallelism=2)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add((order.name, order.number))

    def produce(name: str) -> None:
        ids.extend([system.publish(Order(name, n)) for n in range(1000)])

    with system:
        threads = [threading.Thread(target=produce, args=(str(t),)) for t in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        system.drain(timeout=60)
        assert system.admin.metrics().completed == 50_000
    assert len(set(ids)) == len(ids) == 50_000
    assert Counter(collected.items) == {(str(t), n): 1 for t in range(50) for n in range(1000)}


# --- bounds --------------------------------------------------------------------------------------------------------------


def test_full_backlog_refuses_after_the_timeout(folder: Path) -> None:
    """Scenario 9: `QueueFull` after the publish timeout; nothing accepted is lost."""
    options = perdure.Options(backlog_max=3, publish_timeout_s=0.1)
    with perdure.System(folder, options=options) as system:
        ids = [system.publish(Order("a", n)) for n in range(3)]
        with pytest.raises(perdure.QueueFull, match="backlog_max"):
            system.publish(Order("a", 3))
        assert system.admin.metrics().ready == 3
    with perdure.System(folder, options=options) as system:
        assert [system.checkout(Order).id for _ in range(3)] == ids  # type: ignore[union-attr]  # three wait
        assert system.checkout(Order) is None


def test_full_backlog_blocks_until_there_is_room(folder: Path, until: Until) -> None:
    """Scenario 9: a publish waits at the bound, and goes through once a message has left the backlog."""
    with perdure.System(folder, options=perdure.Options(backlog_max=1, publish_timeout_s=30.0)) as system:
        first = system.publish(Order("a", 1))
        waiting = system.submit(Order("a", 2))
        assert system.admin.metrics().published == 1  # asked after the submit, answered in order
        assert not waiting.done()
        delivery = system.checkout(Order)
        assert delivery is not None
        assert delivery.id == first
        delivery.ack()
        second = waiting.result(timeout=10)
        delivery = system.checkout(Order)
        assert delivery is not None
        assert (delivery.id, delivery.message) == (second, Order("a", 2))


def test_backlog_is_bounded_in_bytes_too(folder: Path) -> None:
    """Scenario 9, by size: a batch that does not fit is refused as a whole."""
    options = perdure.Options(backlog_bytes=1000, publish_timeout_s=0.05)
    with perdure.System(folder, options=options) as system:
        system.publish(Order("x" * 500))
        with pytest.raises(perdure.QueueFull, match="backlog_bytes"):
            system.publish_many([Order("x" * 10), Order("x" * 600)])
        assert system.admin.metrics().published == 1


# --- crashes -------------------------------------------------------------------------------------------------------------

DYING = '''
"""Publishes batches of 500 into argv[1]; kills itself at the argv[3]-th call of the disk's argv[2], before or after (argv[4])."""
import os, signal, sys
import perdure
from perdure.store import SegmentStore
from perdure.store.disk.disk import Disk

folder, doomed, count, moment = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
armed = False


class Dying(Disk):
    calls = 0


def dying(name):
    real = getattr(Disk, name)

    def call(self, *args):
        if armed and name == doomed:
            Dying.calls += 1
            if Dying.calls == count:
                if moment == "within":  # half of the bytes get there
                    os.write(args[0], args[1][: len(args[1]) // 2])
                elif moment == "after":
                    real(self, *args)
                os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *args)

    return call


for name in ("write", "sync_data"):
    setattr(Dying, name, dying(name))
system = perdure.System(store=SegmentStore(folder, disk=Dying(), segment_bytes=100_000))
system.start()
armed = True
for batch in range(100):
    system.publish_many([{"batch": batch, "n": n} for n in range(500)])
    os.write(1, b"%d\\n" % batch)
'''


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("call", "moment"),
    [("write", "before"), ("write", "within"), ("write", "after"), ("sync_data", "before"), ("sync_data", "after")],
)
def test_batch_is_all_or_none(folder: Path, tmp_path: Path, call: str, moment: str, count: int) -> None:
    """Scenario 8: `publish_many` of 500, killed at each step of a commit: all or none, and none that was acknowledged lost."""
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    command = [str(script), str(folder), call, str(count), moment]
    died = run(command, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    acknowledged = {int(line) for line in died.stdout.split()}
    with perdure.System(folder) as system:
        found = Counter[int]()
        payloads = set()
        for event in events_of(ev.Published, system.audit.events(type="Published")):
            message = system.drafts.load(event)
            found[message["batch"]] += 1
            payloads.add((message["batch"], message["n"]))
        assert set(found.values()) <= {500}
        assert len(payloads) == 500 * len(found)
        assert acknowledged <= set(found) <= {*acknowledged, len(acknowledged)}
        assert system.admin.metrics().ready == 500 * len(found)


def test_runs_with_one_seed_make_no_id_twice(tmp_path: Path) -> None:
    """With the clock standing still, too: else what the second run publishes would be taken for what is known."""
    clock = perdure.ManualClock()
    ids = []
    for _ in range(3):
        with perdure.System(tmp_path / "data", clock=clock, seed=7) as system:
            ids += [system.publish(Order("a")), *system.publish_many([Order("b"), Order("c")])]
            assert system.admin.metrics().ready == len(ids)
    assert len(set(ids)) == len(ids) == 9
