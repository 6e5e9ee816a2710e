"""A worst night: a `Plan` carried out in a simulated world, with everything that was said to publishers written down.

What is done is in `doings` and `faults`, what handlers do in `night_work`; the history is held against the promises by `checker`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core import mailbox
from perdure.actors.journal import journal
from perdure.actors.queue import decision_pass
from perdure.chaos.disk.memory_disk import Killed, MemoryDisk, PowerCut
from perdure.chaos.oracle.checker import Sleepers, at_rest, check_history, check_state, dead_ids
from perdure.chaos.oracle.handler_log import HandlerLog
from perdure.chaos.oracle.recording_store import RecordingStore
from perdure.chaos.oracle.reference_model import BrokenContract
from perdure.chaos.simulation.faults import left_by_a_cut
from perdure.chaos.simulation.handlers import MessageBlock, register
from perdure.chaos.simulation.outbox_database import HostDatabase
from perdure.chaos.simulation.plan import TABLE, Plan
from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
from perdure.chaos.simulation.simulated_system import SimulatedSystem
from perdure.events.errors import PerdureError, StoreCorrupt, StoreUnavailable
from perdure.events.queue import decisions as queue_rules
from perdure.events.structures import message_block as block
from perdure.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.handling.manual_delivery import Delivery
    from perdure.operations.dead_letters import DeadLetter
    from perdure.store import Frame

__all__ = ["BrokenContract", "Scenario"]

TRIES = 50
TURNS_MAX = 60_000
MORNING_ROUNDS = 20


SMALL = (
    (block, "BLOCK_MESSAGES", 3),
    (journal, "FRAME_EVENTS_MAX", 6),
    (mailbox, "BATCH_MAX", 3),
    (decision_pass, "PASS_EVENTS", 2),
    (decision_pass, "PASS_BYTES", 400),
    (queue_rules, "TICK_MAX", 1),
    (queue_rules, "LEASES_MAX", 3),
)
"""Bounds that a night would never come to, and what they are in half of the nights."""


@contextlib.contextmanager
def _small_bounds() -> Iterator[None]:
    usual = [getattr(module, name) for module, name, _ in SMALL]
    for module, name, bound in SMALL:
        setattr(module, name, bound)
    try:
        yield
    finally:
        for (module, name, _), bound in zip(SMALL, usual, strict=True):
            setattr(module, name, bound)


class _WatchedSystem(SimulatedSystem):
    store_class = RecordingStore

    def watch(self, dropped: list[Frame]) -> None:
        """Have the store keep here what it drops."""
        store: Any = self._store
        store.dropped = dropped


@attrs.define(eq=False, slots=False)
class Scenario(HandlerLog):
    """One plan's run. `run` raises `BrokenContract` where a promise is broken; `story` tells what was done."""

    plan: Plan
    story: list[str] = attrs.field(factory=list)
    simulated_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        """Make the world."""
        self.executor = SimulatedExecutor(self.plan.executor)
        self.executor.steps_max = TURNS_MAX
        self.disk = MemoryDisk()
        self.held: list[Delivery[Any]] = []
        self.leased_again: set[tuple[str, int]] = set()
        self.cut_in = self.cut_seed = 0
        self.sleepers = Sleepers()
        self.set_back_s = 0.0
        self.starts_us: list[int] = []
        """When processes began, and when each was up."""
        self.database = HostDatabase(self)
        self.dropped: list[Frame] = []
        """Frames whose segments are gone, as history is dropped: what the checker reads all the same."""
        self._processes = itertools.cycle(self.plan.processes)
        self.system = self._new_system()

    @property
    def store(self) -> RecordingStore:
        """The store of the process that runs now."""
        return self.system._store  # type: ignore[return-value]  # noqa: SLF001 - made by `_WatchedSystem`

    @property
    def steps(self) -> int:
        """How many turns actors have taken."""
        return self.executor.steps

    def run(self) -> Scenario:
        """Run the night and hold its history against the promises."""
        with _small_bounds() if self.plan.small else contextlib.nullcontext():
            self._run()
        return self

    def _run(self) -> None:
        loggers = [logging.getLogger(name) for name in ("perdure", "perdure.store")]
        were_disabled = [logger.disabled for logger in loggers]
        for logger in loggers:
            logger.disabled = True  # each death would be told
        try:
            self._survive(self._start)
            for step in self.plan.steps:
                self.story.append(str(step))
                action = TABLE[step.do]
                self._survive(partial(action.do, self, **step.how))
            self._morning()
        finally:
            self.database.end()
            for logger, was_disabled in zip(loggers, were_disabled, strict=True):
                logger.disabled = was_disabled
            self.simulated_s = self.executor.clock.passed_us / 1_000_000

    def _survive(self, do: Callable[[], object]) -> None:
        """Do one thing. That the process dies in it, or that the disk fails, is to be expected; nothing else is."""
        following: Callable[[], object] | None = do
        while following is not None:
            now, following = following, None
            try:
                now()
            except Killed:
                self.story.append("-> the process died")
                following = partial(self.succeed, self.disk)
            except PowerCut:
                self.story.append("-> the power was cut")
                following = partial(self.succeed, left_by_a_cut(self.disk, self.cut_seed))
            except StoreCorrupt as error:
                msg = f"history is damaged, though nobody damaged it: {error}"
                raise BrokenContract(msg) from error
            except (PerdureError, TimeoutError) as error:
                self.story.append(f"-> {type(error).__name__}")
        for name, cause in self.executor.crashes:
            if not isinstance(cause, StoreUnavailable):  # that is how a journal answers to a failing disk
                self.broken.append(f"the {name} died of {cause!r}")
        if self.broken:
            raise BrokenContract(self.broken[0])

    # --- processes -------------------------------------------------------------------------------------------------------

    def _new_system(self) -> _WatchedSystem:
        settings = dict(next(self._processes))
        workers = settings.pop("workers")
        quiet: dict[str, Any] = {"log_failures": None, "log_dead_letters": None}  # a night makes thousands
        options = Options(dead_letters_max=8, retries=2, backlog_max=60, **quiet, **settings)
        self.disk.before_each = self._before_operation
        system = _WatchedSystem(executor=self.executor, disk=self.disk, options=options)
        system.watch(self.dropped)
        register(self, system, workers)
        return system

    def _before_operation(self, _name: str) -> None:
        self.executor.point()
        if self.cut_in:
            self.cut_in -= 1
            if not self.cut_in:
                self.executor.die(PowerCut())

    def _start(self) -> None:
        for _ in range(TRIES):
            try:
                self.starts_us.append(self.executor.clock.now_us())
                self.system.start()
                self.starts_us.append(self.executor.clock.now_us())
                self.database.attach(self.system)
            except StoreUnavailable:
                continue
            return
        msg = "the system does not start, though the disk works again"
        raise BrokenContract(msg)

    def restart(self, grace: float) -> None:
        """Stop in good order, and start again."""
        calm = not (self.disk.faults or self.cut_in or self.executor.kill_after or self.executor.die_after)
        self.system.stop(grace=grace)
        if calm:
            self._check_stop()
        self._leave()
        self.system = self._new_system()
        self._start()

    def _check_stop(self) -> None:
        """Scenario 49: what handlers have ended is on record when a stop in good order is done; nobody will handle it again."""
        for ident, attempt in self.store.in_force.items():
            call = self.calls_here.get((ident, attempt))
            lost = (ident, attempt) in self.store.ended  # written, and gone with a sync that failed: that costs a redelivery
            if call is not None and call.ended and not lost:
                self.break_contract(f"{call} had ended when the system stopped, and that is not on record")

    def succeed(self, disk: MemoryDisk) -> None:
        """The process is dead: start another on what the disk holds."""
        self.cut_in = 0
        self.executor.forget_all()
        self._leave()
        disk.owner, disk.faults = None, []
        self.disk = disk
        self.system = self._new_system()
        self._start()

    def _leave(self) -> None:
        self.leased_again |= {lease for lease, times in self.store.leases.items() if times > 1}
        self.held.clear()
        self.calls_here.clear()
        self.running.clear()
        self.unanswered.clear()

    # --- what was said ---------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Let all deliveries go on."""
        self.paused.clear()
        self.system.admin.resume()

    def checked_out(self, delivery: Delivery[Any]) -> None:
        """Take a delivery in hand."""
        if not self.store.leases[delivery.id, delivery.attempt]:
            self.break_contract(f"{delivery.id} was checked out without a lease on record")
        self.held.append(delivery)

    def check_result(self, ident: str, ask: Callable[[], Any]) -> None:
        """Ask for a result; what is given must be what the handler returned, and on the disk."""
        try:
            value = ask()
        except (PerdureError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - the handler's own, handed over
            self.story.append(f"-> {type(error).__name__}")
            return
        finally:
            if ident in self.store.published and self.store.is_durable(ident):
                self.uncertain.discard(ident)
                self.acknowledged.add(ident)
        if value not in (self.sent[ident].number, None):
            self.break_contract(f"the result of {ident} is {value!r}")
        if not self.store.is_result_durable(ident):
            self.break_contract(f"the result of {ident} was given before it was on the disk")

    # --- looking ---------------------------------------------------------------------------------------------------------

    def dead_letters(self) -> list[DeadLetter[Any]]:
        """Ask for the dead letters: all that were on record when they were asked for are told, unless they have left since."""
        store, openings, before = self.store, self.store.openings, dead_ids(self.store)
        told = self.system.dead_letters.list()
        if store is self.store and openings == store.openings:
            missing = (before & dead_ids(store)) - {letter.id for letter in told}
            if missing:
                self.break_contract(f"dead letters that were on record are not told: {sorted(missing)}")
        return told

    def look(self) -> None:
        """In the middle of the night: if all is quiet, what is held must be what is on record."""
        self.system.run_until_idle()
        if self.system.running and not self.disk.faults and at_rest(self.system):
            check_state(self.system)

    def _morning(self) -> None:
        """All trouble ends; everything must be handled, and the books must be right."""
        self.disk.faults, self.cut_in = [], 0
        self.executor.kill_after = self.executor.die_after = 0
        self.system.repeats = self.database.fails = 0
        for _ in range(TRIES):
            self.story.append("resume")
            self._survive(self.resume)
            if not self.story[-1].startswith("->"):
                break
            self._survive(lambda: self.system.advance(1.0))
        self._done = False
        for seconds in itertools.chain((60.0,) * 6, (600.0,) * (MORNING_ROUNDS + round(self.set_back_s / 600))):
            self._survive(partial(self._work_off, seconds))
            if self._done:
                break
        else:
            msg = f"something is never done: {self.system.admin.metrics()}"
            raise BrokenContract(msg)
        self._survive(self.system.run_until_idle)
        if silent := [ident for ident, future in self.unanswered if not future.done()]:
            msg = f"whoever published {silent} never got an answer"
            raise BrokenContract(msg)
        check_state(self.system)
        self._leave()
        check_history(self)
        self.system.stop()

    def _work_off(self, seconds: float) -> None:
        self.system.advance(seconds)
        self.sleepers.check(self.store, self.executor.clock.now_us() - round(seconds / 2 * 1_000_000))
        while (delivery := self.system.checkout(MessageBlock, lease=1000.0)) is not None:
            delivery.ack()
        now = self.system.admin.metrics()
        self._done = not now.ready + now.delayed + now.held + now.in_flight + self.database.rows()
