"""What the actors send each other, beyond the commands of `perdure.events.commands`.

Plain carriers of values, and the effects `Tell` and `OnRecord`. The journal carries out effects once the events that they follow
from are on record; others are in `actors/requests/answers.py` and `actors/workers/pools/worker_messages.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.actors.core.actor import Home
    from perdure.events import vocabulary as ev
    from perdure.events.commands import DoneRun, Draft, DraftRun
    from perdure.events.commit_size import Size


class Effect(Protocol):
    """Something that must not be seen outside before the events that it follows from are on record."""

    def release(self, seq: int, /) -> None:
        """Carry it out; the log holds everything up to `seq`. Runs in the journal's thread."""


@attrs.define(eq=False)
class Tell:
    """The effect that sends a message to another actor."""

    directory: Home
    name: str
    message: Any

    def release(self, _seq: int, /) -> None:
        """See `Effect.release`."""
        self.directory.tell(self.name, self.message)


@attrs.define(eq=False)
class OnRecord:
    """The effect that removes an event from those that are not on record yet."""

    unrecorded: dict[int, ev.Event]
    event: ev.Event

    def release(self, _seq: int, /) -> None:
        """See `Effect.release`."""
        self.unrecorded.pop(id(self.event), None)


@attrs.define(eq=False)
class Append:
    """Put events on record, then release their effects: `written` once written, `synced` once synced."""

    writer: str
    term: int
    at_us: int
    events: list[ev.Event]
    written: list[Effect]
    synced: list[Effect]
    size: Size | None = None
    """Of the events, if the writer has measured them."""
    taken: Sequence[int] = ()
    """Rows of the store's ingress that the events take in."""


@attrs.define(eq=False)
class BeginTerm:
    """A decider begins a term: what it sent before has been put on record or never will be."""

    writer: str
    term: int


@attrs.define(eq=False)
class TermBegun:
    """Answer to `BeginTerm`: the log ends at `seq` for this term; fold it from there."""

    term: int
    seq: int


@attrs.define(eq=False)
class Committed:
    """Events that the receiver folds and another actor decided: (sequence number, time in microseconds, event)."""

    events: list[tuple[int, int, ev.Event]]


@attrs.define(eq=False)
class Restarted:
    """An actor was replaced; an actor that had asked it for something asks again."""

    name: str


@attrs.define(eq=False)
class WakeAt:
    """Ask the timer for a `Wake` at a time; replaces what `name` had asked for before."""

    name: str
    at_us: int


class Wake:
    """The time of a `WakeAt` has come; or look now."""


@attrs.define(eq=False)
class Report:
    """Ask the queue or the dispatcher for its figures, for the metrics."""


@attrs.define(eq=False)
class WhenStaffed:
    """Ask the supervisor to answer when every handler has all its workers."""


@attrs.define(eq=False)
class WhenIdle:
    """Ask the queue to answer when no live message is left."""


@attrs.define(eq=False)
class Outcomes:
    """The outcomes of deliveries: one by one in `reports`, and plain completions as one run.

    `is_hearsay`: another process reports them, for deliveries that it is not known here to hold.
    """

    reports: list[Any]
    done: DoneRun | None = None
    is_hearsay: bool = False


@attrs.define(eq=False)
class TakeInRows:
    """Ask the queue to take in what others have published, row by row in this order, as far as there is room; answer: `TakenIn`.

    Each row is taken in whole, once: see `perdure.events.commands.TakeIn`.
    """

    rows: Sequence[tuple[int, Sequence[Draft] | DraftRun]]
    in_append: bool
    """They are rows of the store's ingress: the append that takes them in removes them."""


@attrs.define(eq=False)
class TakenIn:
    """How many rows were taken in, and which of them are still to be removed."""

    count: int
    left: list[int]


@attrs.define(eq=False)
class LeasesOverdue:
    """Leases of a handler's workers that have run out: (number, id, attempt, until_us)."""

    leases: list[tuple[int, str, int, int]]


@attrs.define(eq=False)
class BacklogGrew:
    """From the queue to the dispatcher: more is ready for an elastic handler than its workers can take."""

    type: str
    ready: int


@attrs.define(eq=False)
class StopHandler:
    """A delivery was cancelled while out: its handler is to end."""

    type: str
    attempt_ref: tuple[int, str, int]
    """Number, id and attempt."""


@attrs.define(eq=False)
class AskTicks:
    """Ask the queue for the last recorded tick of each schedule."""


@attrs.define(eq=False)
class PaceChanged:
    """From a worker to the dispatcher: how long one handler call of its type takes."""

    type: str
    run_us: float


@attrs.define(eq=False)
class StartActor:
    """To the supervisor: start one of the actors that only some systems need, unless it runs."""

    name: str


@attrs.define(eq=False)
class Down:
    """An actor is dead. `cause` None: it ended in good order."""

    name: str
    actor: Any
    cause: BaseException | None


@attrs.define(eq=False)
class Up:
    """To the supervisor: an actor that opens something (the log) has it open."""

    name: str
    generation: int


@attrs.define(eq=False)
class Quiesce:
    """Ask the dispatcher to hand out nothing more and say when its workers are done, or `grace_s` is over."""

    grace_s: float


@attrs.define(eq=False)
class EndGrace:
    """To the dispatcher: the grace period of a stop is over, whatever the clock says."""


@attrs.define(eq=False)
class TakeSnapshot:
    """Ask the snapshotter for a snapshot of everything on record."""
