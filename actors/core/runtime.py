"""What outlives any single actor: who is on, how to reach them, and the things they share.

No decision is made here; who is started again, and when, is in `supervisor`.
"""

from __future__ import annotations

import logging
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

import pykka

from perdure.actors.core.executor import Threads
from perdure.actors.core.messages import Down, TakeSnapshot, Up
from perdure.actors.journal.recovery import recover
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.raised_errors import Raised
from perdure.actors.requests.result_waits import Waits
from perdure.events.codec.snapshot import ALL_PARTS

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable

    from perdure.actors.core.actor import Actor
    from perdure.actors.core.clock import Clock
    from perdure.actors.core.executor import Executor
    from perdure.actors.execution.event_loop import Call
    from perdure.actors.requests.pending import Request
    from perdure.actors.services.relay import Source
    from perdure.actors.services.scheduler import Schedule
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.pool import Pool
    from perdure.events.codec.snapshot import States
    from perdure.events.commands import Draft
    from perdure.events.queue.decisions import Limits
    from perdure.events.queue.state import TypeCounts
    from perdure.events.vocabulary import Event, Published
    from perdure.store import EventStore

__all__ = ["Publisher", "Runtime", "Tuning"]

logger = logging.getLogger("perdure")


class Publisher(Protocol):
    """How payloads become objects and objects drafts; the front door's part, needed by the workers."""

    @property
    def draft(self) -> Callable[..., Draft]:
        """Encode a message with its options."""

    def load(self, published: Published) -> Any:
        """Decode a message's payload into an object of its type; raises InvalidMessage where that cannot be done."""

    def loader(self, type_name: str) -> Callable[[bytes], Any] | None:
        """Give the function that decodes plain messages of a type, where there is one that does it alone."""

    def load_plain(self, type_name: str, payload: bytes, ident: str) -> Any:
        """As `load`, of a message in the first version of its type."""

    def dump(self, value: Any, ident: str) -> bytes:
        """Encode what the handler of a message returned; raises InvalidMessage for what cannot be."""

    def since_us(self, published: Published) -> int:
        """Tell since when a message could have been handled; 0 where that is not known."""


class Tuning(Protocol):
    """What the actors read of the host's options (see `perdure.Options` for what each means)."""

    @property
    def durability(self) -> str:
        """`fsync` or `os`."""

    @property
    def publish_timeout_s(self) -> float:
        """How long a publish waits for room in the backlog."""

    @property
    def snapshot_events(self) -> int:
        """Events between two snapshots."""

    @property
    def restart_budget(self) -> int:
        """Deaths allowed to one actor."""

    @property
    def restart_window_s(self) -> float:
        """The time in which they are counted."""

    @property
    def prefetch_ms(self) -> float:
        """Work that may lie ready for a worker."""

    @property
    def prefetch_max(self) -> int:
        """Deliveries that may lie ready for a worker."""

    @property
    def resident_payload_bytes(self) -> int:
        """Bytes of waiting payloads kept in memory."""

    @property
    def batch_max(self) -> int:
        """Messages of one commit that belong together."""

    @property
    def batch_bytes_max(self) -> int:
        """Their bytes of payload."""

    @property
    def finished_max(self) -> int:
        """Ended messages whose ids are remembered."""

    @property
    def log_failures(self) -> str | None:
        """The level at which failed attempts are logged."""

    @property
    def log_dead_letters(self) -> str | None:
        """The level at which dead letters are logged."""


class Runtime:
    """The shared ground of one running system."""

    host_loop: asyncio.AbstractEventLoop | None = None
    """The host's event loop, if handlers run there and not on one of the system's own."""
    wants_loop = False
    """Hooks of the host's run on the event loop, whether or not handlers do."""
    waits: Waits
    """Which handlers wait for results."""
    is_open = True
    """Handlers may be given messages; not before the start hooks have run."""

    def __init__(
        self,
        *,
        store: EventStore,
        clock: Clock,
        rng: random.Random,
        publisher: Publisher,
        tuning: Tuning,
        limits: Limits,
        run: str,
        executor: Executor | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.started_us = clock.now_us()
        self.rng = rng
        self.publisher = publisher
        self.tuning = tuning
        self.limits = limits
        self.run = run
        self.executor: Executor = executor or Threads()
        self.pending = PendingRequests(self.tell)
        self.actors: dict[str, Actor] = {}
        self.pools: dict[str, Pool] = {}
        """As `schedules` and `outboxes`, it is read in any thread and never changed in place: a change makes another dict (see
        `add_pool` and its like), so that a thread which goes through one may take its time."""
        self.handlers: dict[str, HandlerSpec] = {}
        self.warm: dict[str, States] = {}
        """Each actor's part of the states as folded at the start, so that three actors need not fold the log three times."""
        self.snapshot_due = tuning.snapshot_events
        self._done: set[str] = set()
        self._terms: dict[str, int] = {}
        self._lock = threading.Lock()
        self.deaths: dict[str, int] = {}
        self.recent_deaths: dict[str, list[float]] = {}
        """By name: when those died that count in the budget."""
        self.schedules: dict[str, Schedule] = {}
        self.outboxes: dict[str, Source] = {}
        self.variables = copy_context()
        """The context variables that the system was started with, and what its start hooks set: each message has a copy."""
        self.waits = Waits()
        self.loop_calls: set[Call] = set()
        """What runs on the event loop."""
        self.raised = Raised()
        """By message id: what ended a message whose result is waited for, for who waits in this very process."""
        self.counters: dict[str, int] = {}
        """What happened to the machinery itself in this run: restarts, failed snapshots, I/O errors."""
        self.ended_before: dict[str, TypeCounts] = {}
        """By type: what had become of all messages when this run began."""
        self.spilled_bytes = 0
        """Bytes of payload that the queue has put where they take no memory."""
        self.failed: BaseException | None = None
        self.void_after: int | None = None
        """Set when a sync failed: what was written after this sequence number must not come back."""
        self.to_void: list[Request] = []
        """The requests that stand in it."""
        self.unrecorded: dict[int, Event] = {}
        """By `id`: facts about the machinery that are not known to be on record; a supervisor's or journal's death loses none."""
        self.on_supervisor_death: Callable[[Actor, BaseException], None] | None = None
        self.closing = False

    def add_pool(self, pool: Pool) -> Pool:
        """Let a handler's pool be known; gives the one that counts, which is the first of its type."""
        with self._lock:
            known = self.pools.get(pool.type)
            if known is None:
                self.pools = {**self.pools, pool.type: pool}
            return known or pool

    def add_schedule(self, schedule: Schedule) -> None:
        """Let a schedule be known, in place of one of its name."""
        with self._lock:
            self.schedules = {**self.schedules, schedule.name: schedule}

    def drop_schedule(self, name: str) -> None:
        """Forget a schedule."""
        with self._lock:
            self.schedules = {known: schedule for known, schedule in self.schedules.items() if known != name}

    def add_outbox(self, source: Source) -> None:
        """Let an outbox be relayed."""
        with self._lock:
            self.outboxes = {**self.outboxes, source.name: source}

    def drop_outbox(self, name: str) -> None:
        """Forget an outbox."""
        with self._lock:
            self.outboxes = {known: source for known, source in self.outboxes.items() if known != name}

    def fold(self, until: int | None, parts: frozenset[str] = ALL_PARTS) -> tuple[States, int]:
        """Fold the log up to a sequence number, within the bounds of this system; see `recover`."""
        tuning = self.tuning
        spill = self.store.spill()
        return recover(
            self.store,
            until,
            finished_max=tuning.finished_max,
            parts=parts,
            spill=spill,
            resident_max=tuning.resident_payload_bytes,
        )

    def enter(self, actor: Actor) -> None:
        """Start an actor and let it be found under its name."""
        self.actors[actor.name] = actor
        pykka.ActorRegistry.register(actor.actor_ref)
        actor._start_actor_loop()  # noqa: SLF001 - `Actor.start` builds and starts in one; the name must be known in between

    def tell(self, name: str, message: Any) -> None:
        """Tell an actor; what a dead one is told vanishes, and whoever needs an answer asks its successor."""
        actor = self.actors.get(name)
        if actor is None or actor.actor_stopped.is_set():
            return
        actor.actor_inbox.put(message)  # without Pykka's envelope, which our mailbox does not need

    def tell_all(self, message: Any) -> None:
        """Tell every actor but the workers (their mailbox is their pool's)."""
        for name in list(self.actors):
            if not name.startswith("worker:"):
                self.tell(name, message)

    def buried(self, actor: Actor, cause: BaseException | None) -> None:
        """Take note that an actor's thread has ended.

        Runs in that thread, in its undertaker's, or in both: told twice is harmless, since only the death of the one who is
        on counts.
        """
        if actor.name != "supervisor":
            self.tell("supervisor", Down(actor.name, actor, cause))
        elif cause is not None and self.actors.get("supervisor") is actor and self.on_supervisor_death is not None:
            self.on_supervisor_death(actor, cause)

    def next_term(self, name: str) -> int:
        """Give an actor's next term."""
        with self._lock:
            self._terms[name] = self._terms.get(name, 0) + 1
            return self._terms[name]

    def terms(self) -> dict[str, int]:
        """Give the newest term of each actor that has any."""
        with self._lock:
            return dict(self._terms)

    def first_time(self, what: str) -> bool:
        """Tell whether this is the first call for `what` in this run."""
        with self._lock:
            first = what not in self._done
            self._done.add(what)
            return first

    def warm_states(self, name: str) -> States | None:
        """Give an actor, once, its part of the states as folded at the start."""
        return self.warm.pop(name, None)

    def journal_up(self, generation: int) -> None:
        """Take note that a journal has the log open."""
        self.tell("supervisor", Up("journal", generation))

    def grown(self, seq: int) -> None:
        """Take note that the log has grown; ask for a snapshot where it is time. Runs in the journal's thread."""
        if seq >= self.snapshot_due:
            self.snapshot_due = seq + self.tuning.snapshot_events
            self.tell("snapshotter", TakeSnapshot())

    def count(self, what: str, n: int = 1) -> None:
        """Count something that happened to the machinery."""
        self.counters[what] = self.counters.get(what, 0) + n
