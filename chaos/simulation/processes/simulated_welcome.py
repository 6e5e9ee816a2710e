"""`SimulatedWelcome`: what a call of a simulated client waits for that needs an owner to have been there once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor

__all__ = ["SimulatedWelcome"]


class SimulatedWelcome:
    """Waited for as `threading.Event` is, in virtual time."""

    def __init__(self, executor: SimulatedExecutor) -> None:
        self._executor = executor
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether an owner has welcomed the client."""
        return self._is_set

    def set(self) -> None:
        """Note that one has."""
        self._is_set = True

    def wait(self, timeout_s: float) -> bool:
        """Wait for it."""
        self._executor.run_until(self.is_set, timeout_s)
        return self._is_set
