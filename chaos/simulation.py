"""Simulated worst nights: random work on a `SimulatedSystem` with random kills, power cuts, failing disks and jumping clocks.

One seed is one night. A checker holds its whole history against the promises: scenarios 29, 30, 36, 39 and 42 of the project, and
its laws. How the world is simulated is in `simulated`; what a power cut can leave in `crash`.
"""

from __future__ import annotations

import errno
import itertools
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.context import Reject, Retry
from perdure.actors.recovery import recover
from perdure.chaos.crash import PowerCuts
from perdure.chaos.memory_disk import Fault, MemoryDisk, PowerCut
from perdure.chaos.simulated import SimulatedSystem, SimulatedWorld
from perdure.events import vocabulary as ev
from perdure.events.backoff import Fixed
from perdure.events.errors import PerdureError, PublishTimeout, StoreCorrupt, StoreUnavailable
from perdure.events.snapshot import dump_dead_letters, dump_handlers, dump_queue
from perdure.options import Options
from perdure.payloads import message

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.context import Context
    from perdure.consumer import Delivery

__all__ = ["ALL_TROUBLE", "BrokenPromise", "Night", "Trouble", "shrink"]

ENDINGS = (ev.Completed, ev.Superseded, ev.Expired, ev.Cancelled, ev.Purged)


class BrokenPromise(AssertionError):
    """A history that breaks what perdure promises."""


@message(name="simulation.task")
@attrs.frozen
class Task:
    """Work whose outcome its payload says."""

    number: int
    how: str = "done"


@message(name="simulation.note")
@attrs.frozen
class Note:
    """What a task's handler publishes, handled by the second handler."""

    number: int


@message(name="simulation.parcel")
@attrs.frozen
class Parcel:
    """Work for manual consumers."""

    number: int


@attrs.frozen
class Trouble:
    """Which kinds of trouble a night may bring."""

    kills: bool = True
    faults: bool = True
    process_deaths: bool = True
    power_cuts: bool = True
    jumps: bool = True


ALL_TROUBLE = Trouble()


@attrs.define(eq=False, slots=False)
class Night:
    """One seed's run. `run` raises `BrokenPromise` where a promise is broken; `story` tells what was done."""

    seed: int
    actions: int = 60
    trouble: Trouble = ALL_TROUBLE
    story: list[str] = attrs.field(factory=list)
    acknowledged: dict[str, str] = attrs.field(factory=dict)
    """Ids that a publish returned, and what they were."""
    uncertain: set[str] = attrs.field(factory=set)
    """Ids of publishes that ended in doubt, or with the process."""
    refused: set[str] = attrs.field(factory=set)
    """Ids of publishes that were refused: they must not be there."""
    deaths: Counter[str] = attrs.field(factory=Counter)
    steps: int = 0
    simulated_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        """Make the world."""
        self.world = SimulatedWorld(self.seed)
        self.chance = self.world.chance
        self.disk = MemoryDisk()
        self.numbers = itertools.count(1)
        self.held: list[Delivery] = []
        self.system = self._new_system()

    # --- the work --------------------------------------------------------------------------------------------------------

    def _new_system(self) -> SimulatedSystem:
        options = Options(
            segment_bytes=8192,
            snapshot_events=self.chance.choice((40, 1_000_000)),
            dead_letters_max=8,
            retries=2,
            backlog_max=60,
        )
        self.disk.before_each = lambda _name: self.world.point()
        system = SimulatedSystem(world=self.world, disk=self.disk, options=options)

        @system.handler(Task, parallelism=self.chance.choice((1, 3)), retries=2, backoff=Fixed(2.0), lease=30.0)
        def task(task: Task, ctx: Context) -> Any:
            return self._handle(task, ctx)

        @system.handler(Note, parallelism=2, dedup="append", key_parallelism=1)
        def note(note: Note, ctx: Context) -> None: ...

        return system

    def _handle(self, task: Task, ctx: Context) -> Any:
        match task.how:
            case "fails" if ctx.attempt < self.chance.choice((1, 2, 9)):
                raise ValueError(task.number)
            case "retries" if ctx.attempt == 1:
                raise Retry(delay=1.0)
            case "rejected":
                reason = "as it says"
                raise Reject(reason)
            case "slow":
                self.world.clock.advance(self.chance.choice((5.0, 40.0)))
            case "chained":
                ctx.publish(Note(task.number), key=f"n{task.number % 3}", id=f"{ctx.id}.child")
            case "beats":
                try:
                    ctx.heartbeat(50, "half")
                except PerdureError:
                    return None  # its lease is gone, so nobody will take its outcome
        return task.number

    # --- the night -------------------------------------------------------------------------------------------------------

    def run(self) -> Night:
        """Run the night and hold its history against the promises."""
        was_disabled = logging.getLogger("perdure").disabled
        logging.getLogger("perdure").disabled = logging.getLogger("perdure.store").disabled = True
        began_us = self.world.clock.now_us()
        try:
            self._start()
            doings = self._doings()
            for _ in range(self.actions):
                doing = self.chance.choice(doings)
                if not self._is_wanted(doing):
                    continue
                self.story.append(doing.__name__.strip("_"))
                self._do(doing)
            self._morning()
        finally:
            logging.getLogger("perdure").disabled = logging.getLogger("perdure.store").disabled = was_disabled
            self.steps = self.world.steps
            self.simulated_s = (self.world.clock.now_us() - began_us) / 1_000_000
        return self

    def _doings(self) -> list[Callable[[], None]]:
        work: list[Callable[[], None]] = [self._publish] * 6
        work += [self._publish_many, self._check_out, self._settle, self._settle, self._cancel, self._pass_time, self._pass_time]
        work += [self._run_a_bit, self._run_a_bit, self._operate, self._dead_letters, self._snapshot, self._stop_and_start]
        return [*work, self._kill, self._kill_soon, self._fault, self._process_dies, self._power_cut, self._clock_jumps]

    def _is_wanted(self, doing: Callable[[], None]) -> bool:
        """Tell whether this kind of trouble is wanted; what is not is drawn all the same, so that the rest of the night stays."""
        kinds: dict[Callable[[], None], bool] = {
            self._kill: self.trouble.kills,
            self._kill_soon: self.trouble.kills,
            self._fault: self.trouble.faults,
            self._process_dies: self.trouble.process_deaths,
            self._power_cut: self.trouble.power_cuts,
            self._clock_jumps: self.trouble.jumps,
        }
        return kinds.get(doing, True)

    def _do(self, doing: Callable[[], None]) -> None:
        """Do one thing; that the disk fails is to be expected, and told by the documented errors alone."""
        try:
            doing()
        except StoreCorrupt as error:
            msg = f"history is damaged, though nobody damaged it: {error}"
            raise BrokenPromise(msg) from error
        except PerdureError as error:
            self.story.append(f"-> {type(error).__name__}")
        except TimeoutError:
            self.story.append("-> TimeoutError")

    def _start(self) -> None:
        for _ in range(20):
            try:
                self.system.start()
            except StoreUnavailable:
                continue
            return
        msg = "the system does not start, though the disk works again"
        raise BrokenPromise(msg)

    def _publish(self) -> None:
        number = next(self.numbers)
        ident = f"m{number}"
        how = self.chance.choice(("done", "done", "fails", "retries", "rejected", "slow", "chained", "chained", "beats"))
        options: dict[str, Any] = {}
        if self.chance.random() < 0.3:  # noqa: PLR2004
            options["key"] = f"k{number % 3}"
            options["dedup"] = self.chance.choice(("replace", "reject", "append"))
        if self.chance.random() < 0.2:  # noqa: PLR2004
            options["group"] = f"g{number % 2}"
        if self.chance.random() < 0.2:  # noqa: PLR2004
            options["delay"] = self.chance.choice((0.5, 20.0))
        if self.chance.random() < 0.1:  # noqa: PLR2004
            options["ttl"] = self.chance.choice((1.0, 60.0))
        if self.chance.random() < 0.2:  # noqa: PLR2004
            options["priority"] = self.chance.choice((-1, 5))
        if self.chance.random() < 0.1:  # noqa: PLR2004
            options["keep_result"] = 30.0
        content = Parcel(number) if self.chance.random() < 0.2 else Task(number, how)  # noqa: PLR2004
        self._try_publish([ident], lambda: self.system.publish(content, id=ident, **options))

    def _publish_many(self) -> None:
        self._try_publish(
            [], lambda: self.system.publish_many([Task(next(self.numbers)) for _ in range(self.chance.randrange(1, 9))])
        )

    def _try_publish(self, idents: list[str], call: Callable[[], Any]) -> None:
        self.uncertain.update(idents)  # until it is known: the process may die in the middle
        try:
            answer = call()
        except PublishTimeout as error:
            self.uncertain.update(error.ids)
            raise
        except PerdureError:
            self.uncertain.difference_update(idents)
            self.refused.update(idents)
            raise
        for ident in answer if isinstance(answer, list) else [answer]:
            self.acknowledged[ident] = self.story[-1]
            self.uncertain.discard(ident)

    def _check_out(self) -> None:
        delivery = self.system.checkout(Parcel, lease=10.0)
        if delivery is not None:
            self.held.append(delivery)

    def _settle(self) -> None:
        if self.held:
            delivery = self.held.pop(self.chance.randrange(len(self.held)))
            how = self.chance.choice((delivery.ack, delivery.requeue, lambda: delivery.extend(5.0), lambda: delivery.reject("no")))
            how()

    def _cancel(self) -> None:
        if self.acknowledged:
            self.system.cancel(self.chance.choice(list(self.acknowledged)))

    def _pass_time(self) -> None:
        self.system.advance(self.chance.choice((0.1, 1.0, 5.0, 45.0)))

    def _run_a_bit(self) -> None:
        for _ in range(self.chance.randrange(30)):
            self.system.step()

    def _operate(self) -> None:
        kind = self.chance.choice((Task, Note))
        match self.chance.randrange(4):
            case 0:
                self.system.admin.pause(kind)
            case 1:
                self.system.admin.resume()
            case 2:
                self.system.admin.scale(kind, self.chance.randrange(1, 5))
            case 3:
                self.system.admin.configure(kind, retries=self.chance.randrange(4))

    def _dead_letters(self) -> None:
        letters = self.system.dead_letters.list(limit=3)
        if letters and self.chance.random() < 0.7:  # noqa: PLR2004
            self.system.dead_letters.replay(letters[-1].id, reset_retries=self.chance.random() < 0.5)  # noqa: PLR2004
        elif self.chance.random() < 0.2:  # noqa: PLR2004
            self.system.dead_letters.purge()

    def _snapshot(self) -> None:
        self.system.admin.snapshot()

    # --- trouble ---------------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        name = self.chance.choice(self.system.actors.keys())
        self.deaths[name.partition(":")[0]] += 1
        self.system.actors.kill(name)

    def _kill_soon(self) -> None:
        self.deaths["in the middle"] += 1
        self.world.kill_after = self.chance.randrange(1, 40)

    def _fault(self) -> None:
        code = self.chance.choice((errno.EIO, errno.ENOSPC))
        fault = Fault(
            self.chance.randrange(1, 12), code, part=self.chance.choice((0, 10, 100)), times=self.chance.choice((1, 1, 3))
        )
        self.disk.faults = [fault]

    def _clock_jumps(self) -> None:
        self.world.clock.advance(self.chance.choice((10.0, 3_600.0)))

    def _stop_and_start(self) -> None:
        self.system.stop(grace=self.chance.choice((0.0, 5.0)))
        self.held.clear()
        self.system = self._new_system()
        self._start()

    def _process_dies(self) -> None:
        """The process dies, the machine stays on: what was written is there, synced or not."""
        self.deaths["process"] += 1
        self._abandon(self.disk)

    def _power_cut(self) -> None:
        """The machine dies at one of the next operations: what was not synced may be gone."""
        self.deaths["power"] += 1
        left = [self.chance.randrange(25)]

        def cut(_name: str) -> None:
            self.world.point()
            left[0] -= 1
            if left[0] < 0:
                raise PowerCut

        self.disk.before_each = cut
        try:
            self._publish()
            self.system.advance(1.0)
        except (PowerCut, PerdureError):
            self.story.append("-> cut")
        states = list(itertools.islice(PowerCuts(self.chance, samples=2).states(self.disk), 64))
        self._abandon(self.chance.choice(states))

    def _abandon(self, disk: MemoryDisk) -> None:
        self.world.forget_all()
        self.world.kill_after = 0
        self.held.clear()
        disk.owner, disk.faults = None, []
        self.disk = disk
        self.system = self._new_system()
        self._start()

    # --- the checker -----------------------------------------------------------------------------------------------------

    def _morning(self) -> None:
        """All trouble ends; everything must be handled, and the books must be right."""
        self.disk.faults, self.world.kill_after = [], 0
        for _ in range(50):
            try:
                self.system.admin.resume()
                break
            except (PerdureError, TimeoutError):
                self.system.advance(1.0)
        for left in range(400, -1, -1):
            self.system.advance(60.0)
            while (delivery := self.system.checkout(Parcel, lease=1000.0)) is not None:
                delivery.ack()
            numbers = self.system.admin.metrics()
            if not numbers.ready + numbers.delayed + numbers.held + numbers.in_flight:
                break
            if not left:
                msg = f"something is never done: {numbers}"
                raise BrokenPromise(msg)
        self._check_states()
        self._check_history()
        self.system.stop()

    def _check_states(self) -> None:
        """Law 1, scenarios 30 and 42: what the actors hold is the fold of the log, from a snapshot and from the first event."""
        self.system.run_until_idle()
        stage = self.system.stage
        live: Any = [stage.actors[name] for name in ("queue", "dispatcher", "dead_letters")]
        held = (dump_queue(live[0].state), dump_handlers(live[1].state), dump_dead_letters(live[2].state))
        store: Any = stage.store
        for snapshots in (store.snapshots, lambda _until=None: iter(())):
            view = _View(store, snapshots)
            states, _ = recover(view, finished_max=self.system.options.finished_max)  # type: ignore[arg-type]
            folded = (dump_queue(states.queue), dump_handlers(states.handlers), dump_dead_letters(states.dead_letters))
            if folded != held:
                msg = f"what the actors hold is not the fold of the log: {_difference(folded, held)}"
                raise BrokenPromise(msg)

    def _check_history(self) -> None:
        """Scenarios 29, 36 and 39: nothing acknowledged is lost, nothing invented, nothing in two places, each end once."""
        published: dict[int, str] = {}
        chained: set[str] = set()
        completed_chains: set[str] = set()
        there: set[str] = set()
        ended: Counter[int] = Counter()
        dead: set[int] = set()
        expected_seq = 1
        for record in self.system.audit.events():
            if record.seq != expected_seq:
                msg = f"sequence {record.seq} where {expected_seq} is next"
                raise BrokenPromise(msg)
            expected_seq += 1
            event = record.event
            if isinstance(event, ev.Published):
                if event.id in there:
                    msg = f"message {event.id} is there twice"
                    raise BrokenPromise(msg)
                there.add(event.id)
                published[event.number] = event.id
                if b"chained" in event.payload:
                    chained.add(event.id)
            elif isinstance(event, ENDINGS):
                ended[event.number] += 1
                dead.discard(event.number)
                if isinstance(event, ev.Completed) and published[event.number] in chained:
                    completed_chains.add(published[event.number])
            elif isinstance(event, ev.DeadLettered):
                dead.add(event.number)
            elif isinstance(event, ev.Replayed):
                dead.discard(event.number)
        if childless := {ident for ident in completed_chains if f"{ident}.child" not in there}:
            msg = f"completed without the message that its handler published: {sorted(childless)}"
            raise BrokenPromise(msg)
        known = set(self.acknowledged) | self.uncertain
        if lost := set(self.acknowledged) - there:
            msg = f"acknowledged and gone: {sorted(lost)}"
            raise BrokenPromise(msg)
        if ghosts := self.refused & there:
            msg = f"refused and there: {sorted(ghosts)}"
            raise BrokenPromise(msg)
        if invented := {i for i in there - known if i.startswith("m") and not i.endswith(".child")}:
            msg = f"nobody published: {sorted(invented)}"
            raise BrokenPromise(msg)
        twice = [number for number, times in ended.items() if times > 1]
        missing = [number for number in published if not ended[number] and number not in dead]
        if twice or missing:
            msg = f"messages that ended twice: {twice}; that never ended: {missing}"
            raise BrokenPromise(msg)


class _View:
    """A store whose snapshots may be looked away from."""

    def __init__(self, store: Any, snapshots: Any) -> None:
        self.frames = store.frames
        self.first_seq = store.first_seq
        self.snapshots = snapshots


def _difference(folded: tuple[Any, ...], held: tuple[Any, ...]) -> str:
    for one, other in zip(folded, held, strict=True):
        for key in one:
            if one[key] != other[key]:
                return f"{key}: folded {one[key]!r}, held {other[key]!r}"[:2_000]
    return "none"


def shrink(seed: int, actions: int = 60) -> Night | None:
    """Find a shorter night of a seed that fails: fewer actions, then fewer kinds of trouble; None where it does not fail at all."""
    failing = _failing(Night(seed, actions))
    if failing is None:
        return None
    for n in range(5, actions, 5):
        shorter = _failing(Night(seed, n))
        if shorter is not None:
            failing = shorter
            break
    for field in attrs.fields(Trouble):
        calmer = _failing(Night(seed, failing.actions, attrs.evolve(failing.trouble, **{field.name: False})))
        failing = calmer or failing
    return failing


def _failing(night: Night) -> Night | None:
    try:
        night.run()
    except Exception as error:  # noqa: BLE001 - any failure of a night is one to tell
        night.story.append(f"=> {error!r}")
        return night
    return None
