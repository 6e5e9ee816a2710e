"""`Looks`: questions that an actor answers in pieces, one a turn, so that what comes meanwhile is not held up.

What is looked for, and where a look pauses, is in the rules (`perdure.events.structures.pieces`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from perdure.events.errors import as_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.events.structures.pieces import Look

__all__ = ["Looks"]


class Looks:
    """The questions under way. Of one term of its actor: a successor is asked again. For the actor's thread."""

    def __init__(self, pending: PendingRequests) -> None:
        self._pending = pending
        self._under_way: deque[tuple[Request, Look[Any]]] = deque()

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._under_way)

    def add(self, request: Request, begin: Callable[[], Look[Any]]) -> None:
        """Begin a question with the next piece; an exception in it is an error of this question alone."""
        try:
            self._under_way.append((request, begin()))
        except Exception as error:  # noqa: BLE001 - a look changes nothing
            self._pending.refuse(request, as_refusal(error))

    def go_on(self, settle: Callable[[Request, Any], object]) -> bool:
        """Take the next piece of one question, and answer it where that was the last; return whether any is left."""
        request, look = self._under_way.popleft()
        try:
            next(look)
        except StopIteration as end:
            settle(request, end.value)
        except Exception as error:  # noqa: BLE001 - a look changes nothing, so it is an error of this question alone
            self._pending.refuse(request, as_refusal(error))
        else:
            if request.key in self._pending.outstanding:  # else nothing waits for it any more
                self._under_way.append((request, look))
        return bool(self._under_way)
