"""A simulated system on a `RecordingStore`. The logs of a scenario watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from perdure.chaos.oracle.recording_store import RecordingStore
from perdure.chaos.simulation.simulated_system import SimulatedSystem

if TYPE_CHECKING:
    from perdure.actors.sessions.session import Owner
    from perdure.store import Frame

__all__ = ["RecordingSystem"]


class RecordingSystem(SimulatedSystem):
    """One process of a scenario."""

    store_class = RecordingStore

    @property
    def recording(self) -> RecordingStore:
        """Its store, also before it has started."""
        return cast("RecordingStore", self._store)

    def as_owner(self) -> Owner:
        """Return what the sessions of clients need of it."""
        engine = self._engine
        assert engine is not None  # noqa: S101 - its caller has started it
        return self._as_owner(engine)  # type: ignore[arg-type]  # a simulated system is always the owner

    def keep_dropped(self, dropped: list[Frame]) -> None:
        """Collect in this list the frames whose segments the store drops."""
        self.recording.dropped = dropped
