"""`Roles`: takes the folder's lock for a shared System or connects it to the process that has it, and takes over when that ends.

What follows from what happens is a table in `role_rules`; what a member does is in `member`; the actors are in `runtime/engine`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from perdure.actors.core.threads.thread_start import begin_thread
from perdure.actors.sessions.crossing import OWNER
from perdure.actors.sessions.handover import HandOver
from perdure.actors.sessions.server import Server
from perdure.events.errors import NotRunning, PerdureError, StoreLocked, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.events.processes.log_reading import OWNER_WAIT_S
from perdure.processes.hand_over_reply import HandOverReply
from perdure.processes.noted_folder import NotedFolder
from perdure.processes.role_rules import Act, Event, State, step
from perdure.processes.to_owner.waiting import SPOOL_AFTER_S
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.codec.snapshot import States
    from perdure.options import Options
    from perdure.processes.deputy import Deputy
    from perdure.processes.member import Member
    from perdure.processes.role_rules import Ownership
    from perdure.runtime.engine import Engine
    from perdure.store import Recovered, SegmentStore

__all__ = ["Roles"]

logger = GuardedLogger("perdure")

LOOK_S = 0.1
"""How often a start looks whether it was given up."""
YIELD_S = 1.0
"""How long a process that has handed the folder over does not try to get it back."""
PREFERRED_S = 0.03
"""How long a process leaves the lock of an owner that handed over to those that prefer to own the folder."""
PAUSE_S = 0.5
"""Before the next try, after the log could not be read."""


class RoleOfSystem(Protocol):
    """What changes the role of a System; `lifecycle/inner_system` says what each does."""

    @property
    def belong(self) -> Callable[[Member], None]: ...
    @property
    def belong_to_none(self) -> Callable[[Member], None]: ...
    @property
    def member_anew(self) -> Callable[[Member], Member]: ...
    @property
    def own(self) -> Callable[[Recovered, Server, Member, Callable[[], bool], States | None], Engine]: ...
    @property
    def record(self) -> Callable[[Recovered, Member], Engine]: ...
    @property
    def hand_over(self) -> Callable[[], Member | None]: ...
    @property
    def free(self) -> Callable[[], None]: ...


class SharedSystem(Protocol):
    """What roles need of a System."""

    options: Options

    @property
    def inner(self) -> RoleOfSystem:
        """What it offers the other rooms."""


class Roles:
    """The role of one run of a shared System. `begin` decides it, a thread of its own keeps it in line with what happens.

    Args:
        system: its methods are called as its role changes.
        store: the folder's; locked by the owner alone.
        ownership: what the host wants.
        spools: a start needs no owner, since publishes are spooled.
        deputy: keeps a fold of the log warm while this process is a member.
    """

    member: Member
    """Set before `begin`."""

    def __init__(
        self,
        system: SharedSystem,
        store: SegmentStore,
        ownership: Ownership,
        *,
        spools: bool = False,
        deputy: Deputy | None = None,
    ) -> None:
        self._system = weakref.ref(system)
        self.deputy = deputy
        self._spools = spools
        self._store = store
        self._ownership = ownership
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._taken: list[Event] = []
        """The event that its thread acts on. It is still there where an exception has interrupted that thread."""
        self._is_stopped = False
        self.state = State.SEEKING
        self._thread: threading.Thread | None = None
        self._given_up: Callable[[], bool] = lambda: False
        self._not_before_s = 0.0
        """The monotonic time before which it does not try the lock: it has just let the folder go."""
        self._folder = NotedFolder(store)
        self._failure: PerdureError | None = None
        """Why this process could not become the owner when it tried last."""

    def tell(self, event: Event) -> None:
        """Enter an event, which its thread acts on; in any thread."""
        self._events.put(event)

    # --- the start ---------------------------------------------------------------------------------------------------------

    def begin(self, given_up: Callable[[], bool]) -> None:
        """Become the owner or a member; then a thread goes on.

        Raises:
            StoreLocked: another process owns the folder, and does not listen; or it is this very process.
            NotRunning: no process owns it, and this one may not.
            StoreCorrupt, StoreUnavailable: this process has the lock, and cannot read the log.
        """
        self._given_up = given_up
        until_s = time.monotonic() + (wait_s := SPOOL_AFTER_S if self._spools else OWNER_WAIT_S)
        self._take(Event.UNREACHED)
        while self.state not in (State.OWNER, State.MEMBER, State.ENDED):
            if self._failure is not None and not isinstance(self._failure, StoreLocked):
                raise self._failure
            if given_up() or time.monotonic() > max(until_s, self.member.connection.exchange.told_s + wait_s):
                if self._goes_on_without():
                    break
                raise self._no_owner()
            try:
                self._take(self._events.get(timeout=LOOK_S))
            except Empty:
                continue
        self._thread = EnduringThread(_run, "perdure-role", self)
        try:
            begin_thread(self._thread)
        except RuntimeError:
            self._thread = None  # `end` joins it
            raise

    def _goes_on_without(self) -> bool:
        """Begin as a member of no owner, where publishes are spooled; return whether it does."""
        system = self._system()
        if not self._spools or system is None or self._given_up():
            return False
        logger.info(
            "no process that owns the folder %s answers: what this one (%d) publishes is spooled", self._store.path, os.getpid()
        )
        self.member.is_late = True
        system.inner.belong_to_none(self.member)
        return True

    def _no_owner(self) -> PerdureError:
        no_owner = self.member.connection.no_owner()
        locked = self._failure
        if not isinstance(locked, StoreLocked):
            return no_owner
        return locked if locked.pid == os.getpid() else StoreLocked(str(no_owner), locked.pid)

    def end(self) -> None:
        """Take no other role from now on; returns when none is being taken."""
        self._is_stopped = True
        self.tell(Event.STOPPED)
        thread = self._thread
        if thread is None:
            self.state = State.ENDED
        elif thread is not threading.current_thread():
            thread.join()
        self._end_deputy()

    def _end_deputy(self) -> None:
        if self.deputy is not None:
            self.deputy.end().drop()

    # --- what happens ------------------------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Wait for what happens next and do what follows; False once it is over."""
        taken = self._taken
        if not taken:  # no bytecode runs between taking it and keeping it, so no exception from outside is raised there
            taken.extend(map(self._events.get, (True,)))
        event = taken[0]
        try:
            self._take(Event.STOPPED if self._is_stopped else event)
        except Exception:
            taken.clear()  # it may raise again and again
            raise
        taken.clear()
        return self.state is not State.ENDED

    def _take(self, event: Event | None) -> None:
        while event is not None:
            before = self.state
            self.state, act = step(before, event, self._ownership)
            if self.state is not before:
                logger.debug("role: %s, so %s", event.value, self.state.value)
            if self.state is State.MEMBER and before is not self.state and (system := self._system()) is not None:
                logger.info("this process (%d) is a member: process %s owns the folder", os.getpid(), self.member.connection.pid)
                self._folder.note()
                system.inner.belong(self.member)
                if self.deputy is not None:
                    self.deputy.follow()
            if self.state is State.ENDED:
                self._end_deputy()
            event = self._do(act)

    def _do(self, act: Act) -> Event | None:
        match act:
            case Act.TRY_LOCK:
                return self._try_lock()
            case Act.CONNECT:
                self.member.connection.start()
            case Act.RECOVER:
                return self._recover()
            case Act.BACK_OFF if (system := self._system()) is not None:
                if self._thread is not None:
                    time.sleep(PAUSE_S)
                self.member = system.inner.member_anew(self.member)
                self.member.connection.start()
            case Act.ASK:
                self._ask_for_it()
            case Act.FREE if (system := self._system()) is not None:
                system.inner.free()
            case Act.YIELD if (system := self._system()) is not None:
                self.member = system.inner.hand_over() or self.member
                self._not_before_s = time.monotonic() + YIELD_S
                return Event.YIELDED
        return None

    def agrees_to(self, request: HandOver) -> bool:
        """Return whether this process lets the folder go for one that prefers to own it; see `Owner.hand_over`."""
        yields = self.state is State.OWNER and self._ownership != "prefer"
        if yields:
            logger.info("process %d prefers to own the folder %s: it is handed over", request.pid, self._store.path)
            self.tell(Event.ASKED)
        return yields

    def _ask_for_it(self) -> None:
        with contextlib.suppress(NotRunning):  # it is being stopped
            self.member.runtime.pending.send(OWNER, HandOver(os.getpid()), HandOverReply())

    def _try_lock(self) -> Event:
        if time.monotonic() < self._not_before_s:
            return Event.LOCK_HELD  # another process has asked for it, and is on its way
        if self._ownership == "auto" and self.member.connection.exchange.refusal:
            time.sleep(PREFERRED_S)
        try:
            self._folder.lock()
        except StoreLocked as locked:
            self._failure = locked
            if locked.pid == os.getpid():
                raise
            return Event.LOCK_HELD
        except StoreUnavailable as error:
            if self._thread is not None and str(error) != str(self._failure):
                logger.warning("this process cannot own the folder: %s", error)
            self._failure = error
            return Event.LOCK_HELD
        return Event.LOCK_TAKEN

    def record_alone(self) -> Engine | None:
        """Own the folder for as long as it takes to put on record what has ended here: this process stops, and no other owns it.

        For the thread that stops, once the role has ended; whatever the ownership, since no handler runs here any more. The stop
        shuts down what is returned. None: another process owns the folder, and will answer.

        Raises:
            PerdureError: the log cannot be read.
        """
        system, store, member = self._system(), self._store, self.member
        if system is None:
            return None
        try:
            self._folder.lock()
        except (StoreLocked, StoreUnavailable):
            return None
        try:
            opened = store.open()
        except BaseException:
            store.abandon()
            raise
        member.leave()
        logger.info(
            "process %d stops, and no process owns the folder %s: it records what its handlers had ended", os.getpid(), store.path
        )
        return system.inner.record(opened, member)

    def _recover(self) -> Event:
        """Become the owner; the socket is there before the log is read, so that other processes wait in line."""
        began_s, member, store = time.monotonic(), self.member, self._store
        server: Server | None = None
        try:
            member.leave()
            system = self._system()
            server = Server(store.path, {} if system is None else dict(system.options.allowed_uids))
            fold = None if self.deputy is None else self.deputy.end()
            opened = store.open()
            warm = None if fold is None else fold.take(store)
            system = self._system()
            if system is None:
                server.close(NotRunning("its System was dropped"))
                store.abandon()
                return Event.STOPPED
            engine = system.inner.own(opened, server, member, self._given_up, warm)
        except BaseException as raised:
            if server is not None:
                server.close(NotRunning(f"its owner could not read the log: {raised!r}"))
            store.abandon()
            if self._thread is None and not isinstance(raised, PerdureError):
                raise  # by the start that waits for it
            error = raised if isinstance(raised, PerdureError) else PerdureError(f"the takeover was interrupted by {raised!r}")
            self._failure = error
            runtime = member.runtime
            if runtime.health.closing:  # it was read, and the actors could not be started: nothing is left to go on with
                runtime.budget.stop_for_good(f"the system has stopped: it could not take over its folder: {error}", error)
                return Event.STOPPED if self._thread is not None else Event.FAILED
            if self._thread is not None:
                logger.error("this process could not take over the folder %s: %s", store.path, error)  # noqa: TRY400 - it says all
            return Event.FAILED
        for request in list(member.runtime.pending.outstanding.values()):
            if request.target == OWNER:
                member.runtime.pending.settle(request, False if isinstance(request.command, HandOver) else engine.run_figures())
        self._failure = None
        self._folder.note()
        took_s = time.monotonic() - began_s
        logger.info("this process (%d) owns the folder %s from now on; that took %.3f s", os.getpid(), store.path, took_s)
        return Event.RECOVERED


def _run(roles: Roles) -> None:
    while roles.turn():
        pass
