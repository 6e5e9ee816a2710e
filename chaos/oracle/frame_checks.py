"""What one frame must contain together: a completion and its children, an end and its result, a last failure and the dead letter.

The history around the frames is checked by `history_checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.chaos.oracle.reference_model import SPOOLED, require
from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.chaos.oracle.handler_log import HandlerLog
    from perdure.chaos.oracle.reference_model import Item, ReferenceModel

__all__ = ["FrameCheck"]

FAILS = "ValueError"
"""The exception by which handlers of a scenario fail."""
RAISED = {
    FAILS,
    "RuntimeError",
    "perdure.DuplicateKey",
    "perdure.Rejected",
    "perdure.Requeued",
    "perdure.Reject",
    "perdure.Retry",
}
"""The exceptions with which handlers and consumers of a scenario end an attempt."""


class FrameCheck:
    """Takes the events of one frame, after the reference model has taken each of them."""

    def __init__(
        self,
        handler_log: HandlerLog,
        model: ReferenceModel,
        backoff_us: int,
        check_options: Callable[[ev.Published], None],
        number: int = -1,
    ) -> None:
        self.number = number
        self.seq = 0
        self._handler_log = handler_log
        self._model = model
        self._backoff_us = backoff_us
        self._check_options = check_options
        self._completed: dict[str, int] = {}
        self._ended: set[str] = set()
        self._results: set[str] = set()
        self._published: list[ev.Published] = []
        self._last_failures: list[int] = []

    def take(self, seq: int, at_us: int, event: ev.Event) -> None:
        """Check one event.

        Raises:
            BrokenContract: a failed attempt has the wrong backoff or an unknown exception.
        """
        self.seq = seq
        item = self._model.items.get(getattr(event, "number", 0))
        ident = "" if item is None else item.published.id
        match event:
            case ev.Published():
                self._published.append(event)
            case ev.Completed(attempt=attempt):
                self._completed[ident] = attempt
                self._ended.add(ident)
            case ev.Superseded() | ev.Cancelled() | ev.Expired() | ev.DeadLettered():
                self._ended.add(ident)
            case ev.ResultKept(id=kept):
                self._results.add(kept)
            case ev.AttemptFailed(number=number, due_us=due_us, exception=exception):
                if not due_us:
                    self._last_failures.append(number)
                elif exception == FAILS:
                    waits_us = due_us - at_us
                    require(waits_us == self._backoff_us, f"{ident} waits {waits_us} us, not its backoff")
                require(exception in RAISED, f"{ident} failed with {exception}, which no handler raised")

    def close(self) -> None:
        """Check the whole frame.

        Raises:
            BrokenContract: something is missing that belongs in this frame.
        """
        items, ids = self._model.items, self._model.ids
        for number in self._last_failures:
            item = items[number]
            require(not item.is_live, f"{item.published.id} failed for good, and is {item.place}")
        for child in self._published:
            letter = items[child.number].letter
            is_refused = letter is not None and letter.reason.startswith(SPOOLED)
            self._check_options(letter.published if letter is not None and is_refused else child)  # which has no key then
            self._check_key(items[child.number])
            if child.causation_id is not None:
                attempt = self._completed.get(child.causation_id)
                whole = attempt is not None and child.id.startswith(f"{child.causation_id}.{attempt}.")
                require(whole, f"{child.id} is published without the completion of its handler's attempt")
        for ident, attempt in self._completed.items():
            for child_id in self._handler_log.children(ident, attempt):
                require(child_id in ids, f"{ident} is completed without {child_id}, which its handler published")
        for ident in self._ended:
            extras = items[ids[ident]].published.extras
            wanted = extras is not None and extras.result_us > 0
            require(not wanted or ident in self._results, f"{ident} has ended without the result that was requested")

    def _check_key(self, item: Item) -> None:
        """Require that of the messages of a key that replace each other, only the newest waits."""
        if item.key is None or item.place not in {"waiting", "delayed"} or item.published.dedup != "replace":
            return
        for other in self._model.peers(item):
            if other.key == item.key:
                only_waiting = other.place == "leased" or other.number > item.number
                require(only_waiting, f"{item.published.id} replaced nothing: {other.published.id} of its key still waits")
