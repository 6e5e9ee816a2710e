"""A client of a simulated system, in another simulated process: the real front door and exchange over a simulated connection.

Each connection takes turns beside the actors, one frame a turn. What goes wrong on its way is in `simulated_link`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.sessions.framing.wire import Assembler
from perdure.chaos.simulation.processes.simulated_link import LinkFaults, SimulatedLink
from perdure.chaos.simulation.processes.simulated_welcome import SimulatedWelcome
from perdure.chaos.simulation.simulated_clock import ProcessClock
from perdure.events.commands import Publish
from perdure.payloads.codecs import MessagePack
from perdure.processes.client import Client
from perdure.processes.to_owner.exchange import HOLD_S, Exchange
from perdure.processes.to_owner.no_owner import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.requests.request import Request
    from perdure.chaos.simulation.processes.simulated_sessions import OwnersEnd, SimulatedSessions
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.events.errors import NotRunning
    from perdure.processes.to_owner.spooling import Spooling

__all__ = ["SILENT", "SimulatedClient", "SimulatedConnection"]

SILENT = NoAnswer("the simulated owner does not answer", "")
LOOK_S = 0.5
"""How often deadlines are looked at while something is asked."""
MAY_BE_LEFT_S = 5.0
"""For so long an owner that answers may leave something in the spool before what is asked goes ahead of it."""
PAUSE_S = 0.05
"""Between two tries to reach an owner."""


class SimulatedConnection:
    """See `perdure.processes.to_owner.connection.Connection`; a `Bystander` of the executor."""

    publishes_alone = False

    def __init__(
        self,
        executor: SimulatedExecutor,
        sessions: Callable[[], SimulatedSessions | None],
        timeout_s: float,
        on_facts: Callable[[dict[str, Any]], None],
        *,
        pending: PendingRequests | None = None,
        equip: Callable[[Exchange], None] = lambda _: None,
        spool: Spooling | None = None,
    ) -> None:
        self._spool = spool
        self.timeout_s = timeout_s
        self.pid: int | None = None
        self.faults = LinkFaults()
        self.pending = PendingRequests(self.tell) if pending is None else pending
        self.exchange = Exchange("simulated", timeout_s, self.pending, on_facts, lambda: SILENT)
        self.welcomed = SimulatedWelcome(executor)
        self.link: SimulatedLink | None = None
        self._end: OwnersEnd | None = None
        self._executor = executor
        self._sessions = sessions
        self._frames = Assembler()
        equip(self.exchange)
        if spool is not None:
            self.exchange.spools = True
            self.exchange.held.is_left = spool.is_left
        self._answers_since_s = 0.0
        self._looked_s = self._watched_s = self._sent_s = executor.monotonic_s()
        self._wants_look = self.exchange.is_member
        self._retry_s = 0.0
        self.disturbed_s = executor.monotonic_s()
        """Until when something was wrong: what is asked after this must be answered."""
        self.up_since_s = 0.0
        """When the last owner welcomed it."""
        self.gave_up_s = 0.0
        """When it last refused what had waited for too long. Its caller may see that much later: a wait within a turn that
        began after its own ends before it."""
        executor.bystanders.append(self)

    def now_s(self) -> float:
        """Return the monotonic time."""
        return self._executor.monotonic_s()

    # --- as `Connection` ---------------------------------------------------------------------------------------------------

    def tell(self, _target: str, request: Request) -> None:
        """See `Connection.tell`."""
        if not self._wants_look:
            self._wants_look = True
            self._looked_s = self._executor.monotonic_s()
        self.exchange.ask(request, self._executor.monotonic_s())

    def start(self) -> None:
        """See `Connection.start`: it connects by itself."""

    def post(self, frame: bytes) -> None:
        """See `Connection.post`."""
        self.exchange.post(frame)

    def answer(self) -> Answer:
        """See `Connection.answer`."""
        return self._executor.answer()

    def no_owner(self) -> NotRunning:
        """See `Connection.no_owner`."""
        return self.exchange.no_owner()

    @property
    def says_policies(self) -> bool:
        """See `Connection.says_policies`."""
        return self.welcomed.is_set()

    @property
    def held_by_owner(self) -> int:
        """How many requests the owner's end has not answered."""
        return 0 if self._end is None else self._end.session.in_flight

    def disturb(self, seconds: float = 0.0) -> None:
        """Note that something is wrong now, and for some time."""
        self.disturbed_s = max(self.disturbed_s, self._executor.monotonic_s() + seconds)

    def hang(self, end: str, seconds: float) -> None:
        """Let one end, `"owner"` or `"client"`, do nothing for a while."""
        until_s = self._executor.monotonic_s() + seconds
        self.disturb(seconds)
        if end == "owner":
            self.faults.owner_hangs_until_s = until_s
        else:
            self.faults.client_hangs_until_s = until_s

    def die(self) -> None:
        """End the client's process. What it has sent still arrives."""
        link, end = self.link, self._end
        self.link = self._end = None
        if self._spool is not None:
            self._spool.close()
        self._executor.bystanders.remove(self)
        while link is not None and end is not None and link.to_owner and not link.is_over:
            end.take(link.to_owner.popleft())
        if end is not None:
            end.close()

    def leave(self) -> None:
        """See `Connection.leave`. What the owner had sent is read first."""
        while self.link is not None and self.link.to_client:
            self._take()
        if self.link is not None:
            self._hang_up()
        if self in self._executor.bystanders:
            self._executor.bystanders.remove(self)
        if self._spool is not None:
            self._spool.end()

    @property
    def is_broken(self) -> bool:
        """Whether nothing comes through any more."""
        return self.link is None or self.link.is_over

    @property
    def hangs(self) -> bool:
        """Whether this end, its process, does nothing at present."""
        return self._executor.monotonic_s() < self.faults.client_hangs_until_s

    def lose_owner(self) -> None:
        """Break the connection, as the death of the owner's process does. What it has sent still arrives."""
        self.disturb()
        self._end = None
        if self.link is not None:
            self.link.is_over = True
            self.link.to_owner.clear()

    # --- turns, see `Bystander` --------------------------------------------------------------------------------------------

    def is_able(self) -> bool:
        """See `Bystander.is_able`."""
        return bool(self._acts())

    def turn(self) -> None:
        """See `Bystander.turn`."""
        acts = self._acts()
        acts[self._executor.rng.randrange(len(acts))]()

    def next_s(self) -> float | None:
        """See `Bystander.next_s`."""
        now_s = self._executor.monotonic_s()
        times = [self.faults.client_hangs_until_s, self.faults.owner_hangs_until_s]
        if self.link is None and self._sessions() is not None:
            times.append(self._retry_s)
        if self.exchange.is_member and self._end is not None:
            times.append(self._watched_s + LOOK_S)
        if self._wants_look:
            times.append(self._looked_s + LOOK_S)
        if self.exchange.is_gathering:
            times.append(self._sent_s + HOLD_S)
        if self._has_to_spool():
            times.append(now_s + self.exchange.until_spool_s(now_s))
        return min((at_s for at_s in times if at_s > now_s), default=None)

    def _acts(self) -> list[Callable[[], None]]:
        """Return what can be done now: each is one frame, or one step of a connection."""
        now_s = self._executor.monotonic_s()
        acts: list[Callable[[], None]] = []
        link, end = self.link, self._end
        if link is not None and end is not None and now_s >= self.faults.owner_hangs_until_s:
            if link.to_owner:
                acts.append(self._let_owner_take)
            if end.has_answers and not link.is_over:
                acts.append(end.answer)
            if self.exchange.is_member and now_s >= self._watched_s + LOOK_S:
                acts.append(self._let_owner_look)
        if now_s < self.faults.client_hangs_until_s:
            return acts
        if link is None:
            if self._sessions() is not None and now_s >= self._retry_s:
                acts.append(self._connect)
        elif link.to_client:
            acts.append(self._take)
        elif link.is_over:
            acts.append(self._hang_up)
        elif self.exchange.is_ripe(now_s):
            acts.append(self._send)
        is_read = link is None or not link.to_client  # one thread does both: it reads first, also when its process was stopped
        if self._wants_look and is_read and now_s >= self._looked_s + LOOK_S:
            acts.append(self._look)
        if self._has_to_spool() and self.exchange.until_spool_s(now_s) <= 0:
            acts.append(self._spool_now)
        return acts

    def _has_to_spool(self) -> bool:
        """Return whether publishes wait that are spooled as soon as there has been no owner for a while."""
        if self._spool is None or self.exchange.is_up:
            return False
        return any(isinstance(request.command, (Publish, SubmitBatch)) for request in self.pending.outstanding.values())

    def _spool_now(self) -> None:
        if self._spool is not None:
            self._spool.spool(self.exchange, self._executor.monotonic_s())

    def _connect(self) -> None:
        sessions = self._sessions()
        if sessions is not None:
            self.disturb()
            self.link = SimulatedLink()
            self._end = sessions.accept(self.link, self.exchange.descriptors)
            self._frames = Assembler()
            self.link.to_owner.append(self.exchange.hello(self._executor.monotonic_s()))

    def _let_owner_take(self) -> None:
        link, end = self.link, self._end
        if link is not None and end is not None and (frame := self.faults.next_frame(link, link.to_owner)) is not None:
            end.take(frame)
        self._note_break()

    def _let_owner_look(self) -> None:
        self._watched_s = self._executor.monotonic_s()
        if self._end is not None:
            self._end.look()

    def _take(self) -> None:
        link, was_up, was_silent = self.link, self.exchange.is_up, self.exchange.is_silent
        if link is None or (frame := self.faults.next_frame(link, link.to_client)) is None:
            self._note_break()
            return
        try:
            for kind, elements in self._frames.feed(frame):
                self.exchange.take(kind, elements, self._executor.monotonic_s())
        except (OSError, ValueError, TypeError, KeyError):  # as `Connection` does
            self._hang_up()
        if self.exchange.is_up:
            self.welcomed.set()
            if not was_up:
                self.up_since_s = self._executor.monotonic_s()
            if not was_up or was_silent:
                self._answers_since_s = self._executor.monotonic_s()

    def _send(self) -> None:
        now_s = self._sent_s = self._executor.monotonic_s()
        if self.link is not None:
            self.link.to_owner.extend(self.exchange.frames(now_s))
        answers_for_s = 0.0 if self.exchange.is_silent else now_s - self._answers_since_s
        if self._spool is not None and answers_for_s >= MAY_BE_LEFT_S and self._spool.is_left():
            self.faults.were_overtaken = True

    def _look(self) -> None:
        now_s = self._looked_s = self._executor.monotonic_s()
        self._wants_look = bool(self.pending.outstanding) or self.exchange.is_member
        if self.link is not None and not self.link.is_over:
            self.link.to_owner.extend(self.exchange.housekeeping(now_s))
        self._spool_now()
        asked = len(self.pending.outstanding)
        self.exchange.expire(now_s)
        if len(self.pending.outstanding) < asked:
            self.gave_up_s = now_s

    def _note_break(self) -> None:
        if self.link is not None and self.link.is_over:
            self.disturb()

    def _hang_up(self) -> None:
        self.disturb()
        self.exchange.lost(self._executor.monotonic_s())
        if self._end is not None:
            self._end.close()
        self.link = self._end = None
        self._retry_s = self._executor.monotonic_s() + PAUSE_S


class SimulatedClient(Client):
    """A `Client` in virtual time. A call that waits runs the actors, and all other connections."""

    def __init__(
        self,
        executor: SimulatedExecutor,
        sessions: Callable[[], SimulatedSessions | None],
        timeout_s: float,
        spool: Spooling | None = None,
    ) -> None:
        self._make_drafts(ProcessClock(executor.clock), random.Random(executor.rng.getrandbits(64)), MessagePack())
        self._spools = spool is not None
        self.connection = SimulatedConnection(executor, sessions, timeout_s, self.take_facts, equip=self._equips(), spool=spool)
        # It has all that the front door uses of a connection.
        self._ask_by(self.connection, "/simulated", defers_policies=self._spools)  # type: ignore[arg-type]

    def _wait_s(self) -> float:
        """See `Connected._wait_s`; in virtual time."""
        connection = self.connection
        return connection.exchange.until_spool_s(connection.now_s()) if self._spools else connection.timeout_s
