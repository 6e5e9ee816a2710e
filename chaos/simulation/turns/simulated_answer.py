"""An answer whose wait runs the other actors, in virtual time. What threads wait for is in `perdure.actors.core.threads.answer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.threads.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SimulatedAnswer"]


class SimulatedAnswer(Answer):
    """An answer in a simulation. For use by one thread.

    Args:
        run_until: runs other actors until a condition holds, or so many seconds of virtual time have passed; None: no limit.
    """

    __slots__ = ("_is_here", "_run_until")

    def __init__(self, run_until: Callable[[Callable[[], bool], float | None], None]) -> None:
        super().__init__()
        self._run_until = run_until
        self._is_here = False

    def _release(self) -> None:
        self._is_here = True
        super()._release()

    def wait(self, timeout_s: float) -> Any:
        """See `Answer.wait`; the time is virtual."""
        self._run_until(lambda: self._is_here, None if timeout_s < 0 else timeout_s)
        return super().wait(0)
