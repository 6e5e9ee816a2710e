"""Where the microseconds go: the stages of a message's life timed one after another, and the processor time of each thread.

It calls the functions that the actors call, in their order, for batches of 500. The difference to the whole trip is the hand-over
between threads. This is the only benchmark that uses perdure's internals.
"""

from __future__ import annotations

import gc
import threading
import time
from itertools import groupby, repeat
from typing import TYPE_CHECKING, Any

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, job
from benchmarks.loads.floors import HAND_OFF
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.workers.context import Context
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.events.codec import wire
from perdure.events.commands import DoneRun, Publish, Subscription
from perdure.events.limits import Limits
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.outcomes import complete_run
from perdure.events.queue.state import QueueState
from perdure.events.runs import LeasedRun, count
from perdure.events.structures.message_block import LeaseBatch
from perdure.publishing.publish_future import PublishFuture
from perdure.store import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort
    from perdure.actors.requests.request import Request

__all__ = ["STAGES", "THREADS", "loads", "stages"]

BATCH = 500
RETRIES = 5
STAGES = (
    "publish: encode the payload",
    "publish: check and draft, with an id",
    "publish: decide",
    "publish: fold",
    "publish: encode the events",
    "publish: frame (compress, checksum, chain) and write",
    "publish: sync",
    "deliver: decide and fold the lease",
    "deliver: encode, frame and write the lease",
    "deliver: make the deliveries",
    "handle: decode the payload",
    "handle: make a context and call an empty handler",
    "complete: report, decide and fold",
    "complete: encode, frame and write",
)
WHOLE = "whole trip in one thread, all stages"
SUBMIT_STEPS = (
    "submit: encode the payload",
    "submit: check",
    "submit: make the future",
    "submit: add it to the open submit batch",
)
SMALL_BATCH = 100
THREADS = ("producer", "queue", "journal", "workers", "others")
PUBLISHING = ("producer", "queue", "journal")
DRAIN_S = 120.0


class _Stopwatch:
    """Adds up the time between calls by stage, in the order of the stages."""

    def __init__(self) -> None:
        self.total_s = [0.0] * len(STAGES)
        self.start()

    def start(self) -> None:
        """Begin with the first stage."""
        self._stage = 0
        self._since_s = time.perf_counter()

    def lap(self) -> None:
        """End a stage and begin the next."""
        now_s = time.perf_counter()
        self.total_s[self._stage] += now_s - self._since_s
        self._stage, self._since_s = self._stage + 1, time.perf_counter()


class _Life:
    """A batch of messages, from the host's objects to their completion on disk, in one thread."""

    def __init__(self, folder: Path) -> None:
        self.drafts = perdure.System(store=perdure.MemoryStore()).drafts  # not started: only to encode and decode payloads
        self.messages = [job(i) for i in range(BATCH)]
        self.state = QueueState()
        self.limits = Limits()
        self.type = self.drafts.names.name(Job)
        self.subscription = Subscription(self.type, BATCH, BATCH, RETRIES, 0)
        self.store = SegmentStore(folder)
        self.store.open()
        self.nothing: Any = None
        """In place of the worker's parts and the handler's options, which a context only stores."""

    def _append(self, body: bytes, size: int) -> None:
        self.store.append(body, size, expected_seq=self.store.last_seq + 1)

    def run(self, watch: _Stopwatch, handle: Callable[[Job, Any], None]) -> None:
        """Run all stages once."""
        now_us = time.time_ns() // 1000
        state, lap = self.state, watch.lap
        encode, load = self.drafts.codec.encode, self.drafts.loader(self.type)
        if load is None:
            msg = "plain messages should have a loader of their own"
            raise RuntimeError(msg)
        watch.start()
        for message in self.messages:
            encode(message)
        lap()
        drafts = self.drafts.plain(self.messages)  # encodes once more: `stages` subtracts that
        lap()
        published = rules.decide(state, Publish(drafts, fresh=True), now_us, self.limits)
        lap()
        evolve_all(state, published)
        lap()
        body = wire.encode([(now_us, published)])
        lap()
        self._append(body, count(published))
        lap()
        self.store.sync()
        lap()
        leased = leasing.deliver(state, [self.subscription], now_us)
        evolve_all(state, leased)
        lap()
        self._append(wire.encode([(now_us, [*leased])]), count(leased))
        lap()
        deliveries = self._deliveries(leased)
        lap()
        loaded = [load(delivery.payload) for delivery in deliveries]
        lap()
        for message, delivery in zip(loaded, deliveries, strict=True):
            handle(message, Context(self.nothing, delivery, self.nothing))
        lap()
        completed = complete_run(state, DoneRun([d.number for d in deliveries], [d.lease for d in deliveries]))  # type: ignore[misc]  # plain: lease batches
        if completed is None or count(completed) != BATCH:
            msg = f"{BATCH} messages should have been completed"
            raise RuntimeError(msg)
        evolve_all(state, completed)
        lap()
        self._append(wire.encode([(now_us, completed)]), count(completed))
        lap()

    def _deliveries(self, leased: Sequence[object]) -> list[WorkerDelivery]:
        """Return the deliveries that the queue sends to the workers."""
        made: list[WorkerDelivery] = []
        for run in leased:
            if not isinstance(run, LeasedRun):
                msg = "plain messages should be leased in runs"
                raise TypeError(msg)
            for held, group in groupby(run.numbers, self.state.leased.__getitem__):
                if isinstance(held, LeaseBatch):
                    numbers, block = list(group), held.block
                    at = block.position(numbers[0])
                    made += map(WorkerDelivery, numbers, repeat(held), block.payloads[at : at + len(numbers)])
        return made


def stages(folder: Path, seconds: float) -> list[float]:
    """Return the microseconds of each stage a message, and last their sum."""

    def handle(_message: Job, _ctx: Any) -> None:
        """Take a message."""

    gc.set_threshold(perdure.Options().gc_threshold)  # as in a running system
    life, watch, batches = _Life(folder), _Stopwatch(), 0
    life.run(_Stopwatch(), handle)  # one-time costs of the first batch do not count
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or not batches:
        life.run(watch, handle)
        batches += 1
    life.store.close()
    us = [total_s * 1e6 / (batches * BATCH) for total_s in watch.total_s]
    us[1] = max(0.0, us[1] - us[0])
    return [*us, sum(us)]


def submit_steps(seconds: float) -> list[float]:
    """Return the microseconds of the publisher's thread for a message submitted while the queue is busy, by step."""
    drafts = perdure.System(store=perdure.MemoryStore()).drafts  # not started: only to encode payloads
    messages = [job(i) for i in range(BATCH)]
    sent: list[Request] = []
    pending = PendingRequests(lambda _name, request: sent.append(request))
    type_name, payload = drafts.encoded(messages[0]) or ("", b"")
    futures: list[PublishFuture[str]] = [PublishFuture() for _ in messages]
    steps: tuple[tuple[Callable[[Any], object], Sequence[object]], ...] = (
        (drafts.codec.encode, messages),
        (drafts.encoded, messages),
        (lambda _: PublishFuture(), messages),
        (lambda future: pending.submit(type_name, payload, future, drafts.ids.run), futures),
    )
    gc.set_threshold(perdure.Options().gc_threshold)
    total_s, batches = [0.0] * len(steps), 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or not batches:
        for i, (step, arguments) in enumerate(steps):
            since_s = time.perf_counter()
            for argument in arguments:
                step(argument)
            total_s[i] += time.perf_counter() - since_s
        pending.settle_all(sent)
        sent.clear()
        batches += 1
    encode, checked, future, put = (each * 1e6 / (batches * BATCH) for each in total_s)
    return [encode, max(0.0, checked - encode), future, put]


def threads(folder: Path, seconds: float, size: int) -> list[float]:
    """Make the real trip in batches of `size`. Return the microseconds of processor time a message, by thread."""
    system = perdure.System(folder)

    @system.handler(Job)
    def handle(_job: Job, _ctx: perdure.Context) -> None:
        pass

    messages = [job(i) for i in range(size)]
    return _shares(system, seconds, lambda: system.publish_many(messages), THREADS)


def publishing_threads(folder: Path, seconds: float, *, pipelined: bool) -> list[float]:
    """Publish one message after another, waiting for each or for none, without a handler. Return as `threads`."""
    system = perdure.System(folder)
    publish: Callable[[Job], object] = system.submit if pipelined else system.publish
    messages = [job(i) for i in range(BATCH)]
    return _shares(system, seconds, lambda: [publish(message) for message in messages], PUBLISHING)


def _shares(system: perdure.System, seconds: float, go_on: Callable[[], object], kinds: tuple[str, ...]) -> list[float]:
    with system:
        before = _cpu_s()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            go_on()
        system.publish(job(BATCH))  # in order after all that was submitted
        if "workers" in kinds:
            system.drain(DRAIN_S)
        after = _cpu_s()
        count = system.admin.metrics().published
    return [(after[kind] - before[kind]) * 1e6 / count for kind in kinds]


def _cpu_s() -> dict[str, float]:
    """Return the processor time of each kind of thread so far."""
    taken = dict.fromkeys(THREADS, 0.0)
    for thread in threading.enumerate():
        if thread.ident is not None:
            taken[_kind(thread)] += time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return taken


def _kind(thread: threading.Thread) -> str:
    if thread is threading.main_thread():
        return "producer"
    name = thread.name.lower()
    if "queue" in name or "journal" in name:
        return "queue" if "queue" in name else "journal"
    return "workers" if "worker" in name or "job" in name else "others"


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    timed = tuple(Measure(name, "us", HAND_OFF) for name in (*STAGES, WHOLE))
    steps = tuple(Measure(name, "us", HAND_OFF) for name in SUBMIT_STEPS)
    shares = tuple(Measure(f"processor, {kind}", "us", HAND_OFF) for kind in THREADS)
    small = tuple(Measure(f"processor, batches of {SMALL_BATCH}: {kind}", "us", HAND_OFF) for kind in THREADS)
    submit, publish = (
        tuple(Measure(f"processor, {how}: {kind}", "us", HAND_OFF) for kind in PUBLISHING)
        for how in ("submit", "publish one by one")
    )
    return [
        Load("stages", timed, lambda folder: stages(folder, effort.seconds)),
        Load("threads", shares, lambda folder: threads(folder, effort.seconds, BATCH)),
        Load("threads, small batches", small, lambda folder: threads(folder, effort.seconds, SMALL_BATCH)),
        Load("submit, its publisher", steps, lambda _: submit_steps(effort.seconds)),
        Load("submit", submit, lambda folder: publishing_threads(folder, effort.seconds, pipelined=True)),
        Load("publish", publish, lambda folder: publishing_threads(folder, effort.seconds, pipelined=False)),
    ]
