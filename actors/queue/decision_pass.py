"""One decision pass of the queue: commands are decided and folded, and what was decided goes to the journal in bounded appends.

What each message from outside asks for is in `queue`; publishes are in `admission`, deliveries to workers in `deliveries`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.journal.decider import Decider
from perdure.actors.requests.result_waiters import ResultWaiters
from perdure.events.commit_size import Size, check_commit, measure
from perdure.events.errors import PerdureError, as_refusal
from perdure.events.loggers import GuardedLogger
from perdure.events.queue import decisions as rules
from perdure.events.queue.folding.folds import evolve_all

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.raised_errors import Raised
    from perdure.events import vocabulary as ev
    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState

__all__ = ["PASS_BYTES", "PASS_EVENTS", "DecisionPass"]

logger = GuardedLogger("perdure")

PASS_EVENTS = 20_000
PASS_BYTES = 16 << 20
"""Events and bytes after which an append is sent: a pass that decides more sends several appends."""
NOTHING = Size(0, 0)


class DecisionPass(Decider):
    """The queue's state, and the only way to change it: `decide` or `apply`, then `cut`."""

    state: QueueState

    def __init__(
        self,
        directory: Home,
        pending: PendingRequests,
        log: LogState,
        limits: Limits,
        raised: Raised,
        generation: int,
    ) -> None:
        super().__init__(directory, pending, log, "queue", generation)
        self.limits = limits
        self.raised = raised

    def begin(self) -> None:
        """Start a term."""
        self.awaiting = ResultWaiters(self.pending)
        super().begin()
        self.size: Size = NOTHING
        """Of what was decided and is not sent to the journal yet."""

    def decide(self, command: object, now_us: int) -> list[ev.Event]:
        """Decide a command and fold the events that follow; return them.

        Raises:
            PayloadTooLarge: they are more than one commit takes.
            PerdureError: the rules refuse the command.
        """
        try:
            events = rules.decide(self.state, command, now_us, self.limits)
        except PerdureError:
            raise
        except Exception as error:  # rules are pure: nothing has changed, so it is an error of this command alone
            logger.exception("a rule failed on %s", type(command).__name__)
            raise as_refusal(error) from error
        size = measure(events)
        check_commit(size, type(command).__name__)
        self.apply(events, size)
        return events

    def take(self, command: object, now_us: int) -> None:
        """Decide one of many commands that came together."""
        self.decide(command, now_us)
        self.cut_where_full(now_us)

    def apply(self, events: list[ev.Event], size: Size | None = None) -> None:
        """Fold events that are decided, and keep them for the journal."""
        evolve_all(self.state, events)
        self.events += events
        before, size = self.size, measure(events) if size is None else size
        self.size = size if before is NOTHING else Size(before.events + size.events, before.bytes + size.bytes)

    def cut_where_full(self, now_us: int) -> None:
        """Send what was decided so far, if it is much; only between what must be in one frame, effects included."""
        events, size = self.size
        if events >= PASS_EVENTS or size >= PASS_BYTES:
            self.cut(now_us)

    def cut(self, now_us: int) -> None:
        """Send what was decided so far: at the end of a pass, or where it is enough for one append."""
        if self.awaiting.waiting:
            self.synced += self.awaiting.answers(self.events)
        if self.raised.kept:
            self.raised.settle(self.events, self.state)
        self.commit(now_us)
        self.size = NOTHING
