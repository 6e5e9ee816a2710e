"""An actor whose state is the fold of facts: how it comes back, and how what it decides gets on record.

The rules of each are in `perdure.events`; this is the part of the shell that they share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor
from perdure.actors.core.messages import Append, BeginTerm, Committed, Restarted, TermBegun, WakeAt
from perdure.actors.journal.log_fold import advance
from perdure.actors.requests.pending import Request
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
    """Starts a term by asking the journal where the log ends; until the answer comes it only collects what it is told.

    A new journal means a new term too: what was decided and not yet written is gone, so the state is folded anew.
    """

    def __init__(self, directory: Home, pending: PendingRequests, log: LogState, name: str, generation: int) -> None:
        super().__init__(directory, name, generation)
        self.pending = pending
        self.log = log

    term = 0
    """Counted across successors, so that nothing of a dead one can be taken for its successor's."""

    def on_start(self) -> None:
        """Ask where the log ends."""
        self.begin()

    def begin(self) -> None:
        """Start a term."""
        self.term = self.log.next_term(self.name)
        self.ready = False
        vars(self).pop("state", None)  # folded anew: there is no room for both
        self.backlog: list[Any] = []
        self.events: list[ev.Event] = []
        self.size: Size | None = None
        """Of those events, where it is known already."""
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
                # What the dead journal told may have been voided; what is on record is in the log, which is folded anew.
                before = [m for m in (*kept, *messages[:i]) if not isinstance(m, Committed)]
                self.begin()
                self.backlog = [*before, *messages[i + 1 :]]
                return
        if not self.ready:
            for message in messages:
                if isinstance(message, TermBegun):
                    if message.term == self.term and not self.ready:  # it may be told twice
                        self._begin_term(message.seq)
                else:
                    self.backlog.append(message)
            if not self.ready:
                return
            # In the order in which they were made: one that was told to the last of this name must not come after one told to this.
            # But none that is still to come from the mailbox: what was committed before it was made may lie there ahead of it.
            told = {message.key for message in self.backlog if type(message) is Request}
            requests = self.pending.unanswered(self.name, self.made_before | told)
            messages, self.backlog = [*(m for m in self.backlog if type(m) is not Request), *requests], []
        outstanding = self.pending.outstanding
        # Who was refused while his request lay here has been told that nothing will come of it.
        self.handle([m for m in messages if type(m) is not Request or m.key in outstanding])

    def _begin_term(self, seq: int) -> None:
        states = self.log.take_start_states(self.name)
        if states is None:
            states, _ = self.log.fold(seq, frozenset({self.name}))
        else:
            advance(self.log.store, states, seq)
        self.term_begun(states, seq)
        self.ready = True

    def term_begun(self, states: States, seq: int) -> None:
        """Take what is this actor's of the states at `seq`."""
        raise NotImplementedError

    def handle(self, messages: list[Any]) -> None:
        """Handle a batch with the state in place."""
        raise NotImplementedError

    def commit(self, now_us: int) -> None:
        """Send to the journal what was decided in this pass, with what is to follow from it."""
        if self.events or self.written or self.synced:
            size = measure(self.events) if self.size is None else self.size
            append = Append(self.name, self.term, now_us, self.events, self.written, self.synced, size)
            self.events, self.written, self.synced = [], [], []
            self.directory.tell("journal", append)

    def wake_by(self, at_us: int) -> None:
        """Have the timer send a `Wake` at a time, unless it will come sooner anyway."""
        if not self.wake_at_us or at_us < self.wake_at_us:
            self.wake_at_us = at_us
            self.directory.tell("timer", WakeAt(self.name, at_us))
