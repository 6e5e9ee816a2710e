"""The snapshot that a stop takes last, so that the next start replays almost nothing.

Not here: snapshots of a running system (`perdure.actors.journal.snapshotter`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.journal.decider import Decider
from perdure.actors.journal.journal import Journal
from perdure.actors.journal.snapshotter import retire, take
from perdure.events.codec.snapshot import States
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.supervision.snapshots import is_small
from perdure.store import Snapshot

if TYPE_CHECKING:
    from perdure.actors.core.actor import Actor
    from perdure.actors.core.clock import Clock
    from perdure.actors.services.runtime import Runtime

__all__ = ["save_final_snapshot"]

logger = GuardedLogger("perdure")


def save_final_snapshot(runtime: Runtime, clock: Clock, *, only_small: bool = False) -> None:
    """Save the state at the end of a run; log a warning where that fails. Runs after all actors have ended.

    With `only_small`, only where that takes no time to speak of: other processes wait for the folder.

    Where every decider is at rest and this journal has written all that it decided in its term, the deciders' states are the fold
    of the whole log (law 1). Otherwise the log is folded.
    """
    journal = runtime.directory.actors.get("journal")
    deciders = [runtime.directory.actors.get(name) for name in ("queue", "dispatcher", "dead_letters")]
    try:
        if isinstance(journal, Journal) and journal.at_rest and all(_is_recorded(d, journal) for d in deciders):
            states: list[Any] = [getattr(actor, "state", None) for actor in deciders]
            if only_small and not is_small(states[0]):
                return
            if runtime.log.store.last_seq:
                whole = States(states[0], states[1], states[2], runtime.log.store.last_seq, clock.now_us())
                runtime.log.store.save_snapshot(Snapshot(whole.seq, whole.chunks))
                retire(runtime.log, runtime.health)
        elif not only_small:
            take(runtime.log, runtime.health, None)
    except PerdureError as error:
        logger.warning("no snapshot was taken at the stop, so the next start replays more events: %s", error)


def _is_recorded(actor: Actor | None, journal: Journal) -> bool:
    """Return whether this journal has written everything that a decider decided.

    A journal that died may have lost decisions that a decider still holds, if the decider was stopped before it learnt of that
    death.
    """
    return isinstance(actor, Decider) and actor.at_rest and actor.ready and journal.terms.get(actor.name) == actor.term
