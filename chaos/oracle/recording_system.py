"""A simulated system on a `RecordingStore`. The logs of a scenario watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from perdure.actors.journal.log_fold import fold_log
from perdure.actors.sessions.crossing import OWNER
from perdure.chaos.oracle.recording_store import RecordingStore
from perdure.chaos.oracle.reference_model import require
from perdure.chaos.simulation.simulated_system import SimulatedSystem
from perdure.runtime.process import live_systems
from perdure.runtime.process.lifecycle_steps import Start

if TYPE_CHECKING:
    from perdure.actors.journal.warm_fold import WarmFold
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.sessions.owner import Owner
    from perdure.actors.sessions.server import Server
    from perdure.chaos.oracle.ticks import SentTicks
    from perdure.chaos.simulation.processes.simulated_member import SimulatedMember
    from perdure.chaos.simulation.processes.simulated_server import SimulatedServer
    from perdure.events.codec.snapshot import States
    from perdure.runtime.engine import Engine
    from perdure.store import Frame, Recovered

__all__ = ["RecordingSystem"]


class RecordingSystem(SimulatedSystem):
    """One process of a scenario."""

    store_class = RecordingStore
    deputy: WarmFold | None = None
    """What this process has folded as deputy, with which it starts."""
    had_deputy = False
    """It had folded something."""
    server: SimulatedServer | None = None
    """Where set: by which it serves other processes from its next start on, as one with `shared=True` does."""
    sent_ticks: SentTicks | None = None
    """Where set: takes note of what its scheduler sends."""

    @property
    def recording(self) -> RecordingStore:
        """Its store, also before it has started."""
        return cast("RecordingStore", self._store)

    def as_owner(self) -> Owner:
        """Return what the sessions of clients need of it."""
        engine = self._engine
        assert engine is not None  # noqa: S101 - its caller has started it
        return self._as_owner(engine)  # type: ignore[arg-type]  # a simulated system is always the owner

    def take_over(self, member: SimulatedMember) -> None:
        """Become the owner with all that a member's process has in hand, as `Roles._recover` does.

        Raises:
            StoreUnavailable: the log cannot be read.
        """
        member.process.own()
        self.recording.lock()
        member.leave()
        opened = self._store.open()
        self._lifecycle.current = Start()
        self._live_run = live_systems.Run(self, member, None, self.options.grace_s)
        live_systems.remember_run(self._live_run)
        engine = self._own(opened, cast("Server", self.server), member, lambda: False)
        pending = member.runtime.pending
        for request in list(pending.outstanding.values()):
            if request.target == OWNER:
                pending.settle(request, engine.run_figures())
        self._mark_points()

    def _new_engine(
        self,
        opened: Recovered,
        server: Server | None = None,
        handlers: HandlerRuntime | None = None,
        warm: States | None = None,
    ) -> Engine:
        """See `System._new_engine`. What a deputy has folded must be what a start from the log alone finds."""
        server = server or cast("Server | None", self.server)
        fold, self.deputy = self.deputy, None
        if fold is None:
            return self._watched(super()._new_engine(opened, server, handlers))
        self.had_deputy = bool(fold.seq)
        engine = self._watched(super()._new_engine(opened, server, handlers, fold.take(self._store)))
        cold, _ = fold_log(self._store, finished_max=self.options.finished_max)
        warm = engine._states  # noqa: SLF001 - before the actors have it
        cold.at_us = warm.at_us  # of the last snapshot of a stop, which is no part of the state, it is the time of the stop
        same = warm.encode() == cold.encode()
        require(same, f"a deputy takes over with another state than the log's at {cold.seq}")
        return engine

    def _watched(self, engine: Engine) -> Engine:
        if self.sent_ticks is not None:
            self.sent_ticks.watch(engine.runtime.pending)
        return engine

    def keep_dropped(self, dropped: list[Frame]) -> None:
        """Collect in this list the frames whose segments the store drops."""
        self.recording.dropped = dropped
