"""An actor whose state is the fold of events: how it comes back, and how its decisions get on record.

The rules of each are in `perdure.events`; this is the part of the shell that all deciders share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor
from perdure.actors.core.messages import Append, BeginTerm, Committed, Restarted, TermBegun, WakeAt
from perdure.actors.journal.log_fold import advance
from perdure.actors.requests.request import Request
from perdure.events.commit_size import measure

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.messages import Effect
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.events import vocabulary as ev
    from perdure.events.codec.snapshot import States
    from perdure.events.commit_size import Size

__all__ = ["Decider"]


class Decider(Actor):
    """Begins a term by asking the journal where the log ends; until the answer comes it only collects messages.

    A new journal means a new term too: what was decided and not yet written is gone, so the state is folded anew.
    """

    def __init__(self, directory: Home, pending: PendingRequests, log: LogState, name: str, generation: int) -> None:
        super().__init__(directory, name, generation)
        self.pending = pending
        self.log = log

    term = 0
    """Counted across successors, so that no append of a dead actor is taken for its successor's."""

    def on_start(self) -> None:
        """Ask where the log ends."""
        self.begin()

    def begin(self) -> None:
        """Start a term."""
        self.term = self.log.next_term(self.name)
        self.ready = False
        vars(self).pop("state", None)  # folded anew; memory has no room for both
        self.backlog: list[Any] = []
        self.events: list[ev.Event] = []
        self.size: Size | None = None
        """Of those events, if it is known already."""
        self.taken: list[int] = []
        """Rows of the store's ingress that those events take in."""
        self.written: list[Effect] = []
        self.synced: list[Effect] = []
        self.wake_at_us = 0
        self.made_before = frozenset(self.pending.outstanding)
        """The requests, by key, that were made before this term: what was committed before them is in the log that it folds. All
        later ones come from the mailbox, behind the notices (`Committed`) of what was committed before they were made."""
        self.directory.tell("journal", BeginTerm(self.name, self.term))

    def on_batch(self, messages: list[Any]) -> None:
        """Handle a batch, or keep it until the state is there."""
        for i, message in enumerate(messages):
            if isinstance(message, Restarted) and message.name == "journal":
                kept = self.backlog if not self.ready else []
                # Notices of the dead journal may have been voided; what is on record is in the log, which is folded anew.
                before = [m for m in (*kept, *messages[:i]) if not isinstance(m, Committed)]
                self.begin()
                self.backlog = [*before, *messages[i + 1 :]]
                return
        if not self.ready:
            for message in messages:
                if isinstance(message, TermBegun):
                    if message.term == self.term and not self.ready:  # the answer may come twice
                        self._begin_term(message.seq)
                else:
                    self.backlog.append(message)
            if not self.ready:
                return
            # In the order in which they were made: a request that the predecessor received must not come after one of this actor's.
            # But none that is still in the mailbox: notices of what was committed before it was made may lie ahead of it there.
            received = {message.key for message in self.backlog if type(message) is Request}
            requests = self.pending.unanswered(self.name, self.made_before | received)
            messages, self.backlog = [*(m for m in self.backlog if type(m) is not Request), *requests], []
        outstanding = self.pending.outstanding
        # A request that was refused while it lay here must have no effect any more.
        self.handle([m for m in messages if type(m) is not Request or m.key in outstanding])

    def _begin_term(self, seq: int) -> None:
        states = self.log.take_start_states(self.name)
        if states is None:
            states, _ = self.log.fold(seq, frozenset({self.name}))
        else:
            advance(self.log.store, states, seq)
        self.term_begun(states, seq)
        self.ready = True

    def term_begun(self, states: States, seq: int, /) -> None:
        """Take this actor's part of the states at `seq`."""
        raise NotImplementedError

    def handle(self, messages: list[Any]) -> None:
        """Handle a batch with the state in place."""
        raise NotImplementedError

    def commit(self, now_us: int) -> None:
        """Send the events of this pass to the journal, with their effects."""
        if self.events or self.written or self.synced:
            size = measure(self.events) if self.size is None else self.size
            append = Append(self.name, self.term, now_us, self.events, self.written, self.synced, size, self.taken)
            # Not the same list again, even if it is empty: this append waits in the journal's mailbox while the next pass fills it.
            self.events, self.written, self.synced, self.taken = [], [], [], []
            self.directory.tell("journal", append)

    def wake_by(self, at_us: int) -> None:
        """Ask the timer for a `Wake` at a time, unless one comes sooner."""
        if not self.wake_at_us or at_us < self.wake_at_us:
            self.wake_at_us = at_us
            self.directory.tell("timer", WakeAt(self.name, at_us))
