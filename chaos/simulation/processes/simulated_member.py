"""A member of a simulated folder: the real handlers, workers and frames of a member in another simulated process.

Its connection, and what goes wrong on it, are those of a client (`simulated_client`). How its process becomes the owner is in
`perdure.chaos.oracle.recording_system`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from perdure.actors.services.runtime import HandlerRuntime
from perdure.chaos.simulation.processes.simulated_client import SimulatedConnection
from perdure.chaos.simulation.processes.simulated_process import SimulatedProcess
from perdure.chaos.simulation.simulated_clock import ProcessClock
from perdure.processes.member import OWNER_WAIT_S, Member
from perdure.processes.owner_facts import OwnerFacts
from perdure.publishing.drafts import without_policy_where_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.chaos.simulation.processes.simulated_sessions import SimulatedSessions
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.chaos.simulation.simulated_system import SimulatedSystem
    from perdure.processes.to_owner.spooling import Spooling

__all__ = ["SimulatedMember"]


class _NoHooks:
    need_loop = False

    def __bool__(self) -> bool:
        return False

    def run_start(self, *_: Any) -> None:
        """Nothing is there to run."""

    def run_stop(self, *_: Any) -> None:
        """Nothing is there to run."""


class SimulatedMember(Member):
    """A `Member` in virtual time, with the handlers that are registered with a system, which itself does not start.

    Its handlers may wait, in a turn that stops in the middle: the owner's process may end meanwhile, and this one too.

    `has_own_clock`: it does not go back where the machine's clock is set back. Not for one that may become the owner, whose clock
    is the machine's here.

    `spooling`: where its publishes go while there is no owner; None: they wait for one.
    """

    connection: SimulatedConnection  # type: ignore[assignment]  # all that a member uses of it

    def __init__(
        self,
        executor: SimulatedExecutor,
        sessions: Callable[[], SimulatedSessions | None],
        system: SimulatedSystem,
        *,
        has_own_clock: bool = False,
        spooling: Spooling | None = None,
    ) -> None:
        self.process = SimulatedProcess(executor)
        self._executor = executor
        self._sessions = sessions
        self.system = system
        if has_own_clock:
            system.drafts.clock = ProcessClock(executor.clock)
        runtime = HandlerRuntime(
            clock=system.drafts.clock,
            rng=random.Random(executor.rng.getrandbits(64)),
            publisher=system.drafts,
            tuning=system.options,
            run=system.drafts.ids.one(),
            executor=self.process,
        )
        runtime.pools.version_of = system.version_of
        facts = OwnerFacts(system.drafts, system.options, system.inner.registered.specs)
        self._simulated_spooling = spooling
        if spooling is not None:
            system.drafts.draft = without_policy_where_unknown(system.drafts.draft, facts.knows_policy)
        super().__init__(runtime, self._no_folder(), facts, lambda _: None, _NoHooks(), spools=spooling is not None)
        system.be_member(self)

    @staticmethod
    def _no_folder() -> Any:
        return None

    def connect_anew(self) -> None:
        """See `Member.connect_anew`."""
        pending = self.runtime.pending
        self.connection = SimulatedConnection(
            self._executor,
            self._sessions,
            OWNER_WAIT_S,
            self.take_facts,
            pending=pending,
            equip=self._equip,
            spool=self._simulated_spooling,
        )
        pending.redirect(self._tell)

    def begin(self) -> None:
        """Start its actors, and have the owner feed its handlers."""
        known = self.system.inner.registered
        self.start(known.specs, known.schedules)
        self.ready()

    def die(self) -> None:
        """End its process at once."""
        self.process.die()
        self.connection.die()
