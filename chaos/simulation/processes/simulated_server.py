"""`SimulatedServer`: what an engine sees of the sessions of other processes, as `perdure.actors.sessions.server` is to a real one.

The sessions are in `simulated_sessions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.chaos.simulation.processes.simulated_sessions import SimulatedSessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.sessions.figures import DeputyFigures
    from perdure.actors.sessions.owner import Owner
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.events.errors import PerdureError

__all__ = ["SimulatedServer"]


class SimulatedServer:
    """See `Server`.

    Args:
        executor: takes turns in which it is judged which processes are gone.
        on_sessions: called with what other processes connect to, once they are served, and with None when that ends.
    """

    has_members = had_members = True

    def __init__(self, executor: SimulatedExecutor, on_sessions: Callable[[SimulatedSessions | None], None]) -> None:
        self._executor = executor
        self._on_sessions = on_sessions
        self._sessions: SimulatedSessions | None = None
        self.is_settled: Callable[[], bool] = lambda: False

    def serve(self, owner: Owner) -> None:
        """See `Server.serve`."""
        self._sessions = SimulatedSessions(owner, self._executor.monotonic_s)
        self._executor.bystanders.append(self._sessions)
        self._on_sessions(self._sessions)

    def reading(self, _last_seq: int) -> Callable[[int], None]:
        """See `Server.reading`: none waits in line here."""
        return lambda _: None

    @property
    def peers(self) -> int:
        """See `Server.peers`."""
        return 0 if self._sessions is None else sum(not end.is_over for end in self._sessions.ends)

    def origins(self) -> frozenset[str] | None:
        """See `Server.origins`."""
        return frozenset() if self._sessions is None else self._sessions.origins()

    def deputies(self) -> tuple[DeputyFigures, ...]:
        """See `Server.deputies`."""
        return ()

    def tell_news(self) -> None:
        """See `Server.tell_news`."""
        for end in [] if self._sessions is None else self._sessions.ends:
            end.has_answers = not end.is_over

    def close(self, why: PerdureError) -> None:
        """See `Server.close`."""
        sessions = self.end()
        if sessions is not None:
            sessions.stop(why)
            self._on_sessions(None)

    def end(self) -> SimulatedSessions | None:
        """Judge no process any more, as when the owner's process has died; return the sessions that there were."""
        sessions, self._sessions = self._sessions, None
        if sessions is not None and sessions in self._executor.bystanders:
            self._executor.bystanders.remove(sessions)
        return sessions
