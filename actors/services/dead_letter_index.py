"""The actor that knows all dead letters: it folds their events, and answers questions about them.

It decides nothing: which messages die and come back is decided by the queue (`perdure.events.queue`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.actors.core.log_lines import log_dead_letter
from perdure.actors.core.messages import Committed, Wake
from perdure.actors.journal.decider import Decider
from perdure.actors.requests.looks import Looks
from perdure.actors.requests.request import Request
from perdure.events.errors import as_refusal
from perdure.events.queue import dead_letters as letters
from perdure.events.queue.searching import letter_search
from perdure.events.vocabulary import DeadLettered

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.actor import Home
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.events.codec.snapshot import States

__all__ = ["DeadLetterIndex"]


class DeadLetterIndex(Decider):
    """Folds what the journal has put on record; a notice that comes late or twice changes nothing.

    A question that goes through all letters is answered in pieces, one a turn, so that it does not hold up the others.
    """

    state: letters.DeadLettersState

    def __init__(self, directory: Home, pending: PendingRequests, log: LogState, tuning: Tuning, generation: int) -> None:
        super().__init__(directory, pending, log, "dead_letters", generation)
        self.tuning = tuning

    def term_begun(self, states: States, seq: int, /) -> None:
        """Take the part of the dead letters."""
        self.state = states.dead_letters
        self.folded_seq = seq
        self.looks = Looks(self.pending)

    def handle(self, messages: list[Any]) -> None:
        """Fold notices and answer questions, in the order they came."""
        for message in messages:
            match message:
                case Committed(events=events):
                    for seq, at_us, event in events:
                        if seq > self.folded_seq:
                            letters.evolve(self.state, event, at_us, seq)
                            self.folded_seq = seq
                            if isinstance(event, DeadLettered):
                                log_dead_letter(self.tuning, event)
                case Request(command=letter_search.Selection() as selection):
                    self.looks.add(message, partial(letter_search.selecting, self.state, selection))
                case Request(command=letter_search.LettersOf() as asked):
                    self._answer(message, partial(letter_search.letters_of, self.state, asked))
                case Request(command=letter_search.CountLetters() as asked):
                    self.looks.add(message, partial(letter_search.counting, self.state, asked, self.folded_seq))
                case Request(command=letter_search.NextLetters() as asked):
                    self._answer(message, partial(letter_search.next_letters, self.state, asked))
                case Request():
                    self._answer(message, partial(letter_search.stats, self.state))
        if self.looks and self.looks.go_on(self.pending.settle):
            self.directory.tell(self.name, Wake())  # behind what has come meanwhile

    def _answer(self, request: Request, look: Callable[[], Any]) -> None:
        """Answer a question. It changes nothing, so an exception in it is an error of this question alone."""
        try:
            found = look()
        except Exception as error:  # noqa: BLE001 - see above
            self.pending.refuse(request, as_refusal(error))
        else:
            self.pending.settle(request, found)
