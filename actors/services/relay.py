"""The relay: publishes what hosts have written into outboxes, and processes into the spool, and deletes it there afterwards.

It holds nothing that its successor could not read again: rows are published by their ids, so one that was published and not yet
deleted when an actor died adds nothing the second time. How a row becomes a draft is up to the host (`perdure.outbox.sql_outbox`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import attrs

from perdure.actors.core.actor import FOREIGN_ERRORS, Actor
from perdure.actors.core.messages import TakeInRows, TakenIn
from perdure.events.commands import Draft, Publish
from perdure.events.errors import DuplicateKey, InvalidMessage, NotAllowed, NotRunning, PerdureError, QueueFull
from perdure.events.loggers import GuardedLogger
from perdure.events.schedules.outbox_polling import OutboxPolling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.core.actor import Home
    from perdure.actors.core.executor import Executor
    from perdure.actors.core.extensions import Extensions, Source, Spool
    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.requests.pending import PendingRequests
    from perdure.events.commands import DraftRun

__all__ = ["REFUSALS", "Relay", "relay_now"]

logger = GuardedLogger("perdure")

REFUSALS = (DuplicateKey, InvalidMessage)
"""Errors that concern one row alone, so that no other row needs to wait."""


@attrs.define(eq=False)
class _QueueAnswer:
    """The queue's answer for some rows; `error` None: they are published."""

    source: str
    rows: list[int]
    error: BaseException | None
    taken: TakenIn | None = None
    """Of a spool, what came of the rows."""


class _RelayReply:
    """The reply that puts the queue's answer into the mailbox of the relay of that time."""

    def __init__(self, directory: Home, source: str, rows: list[int]) -> None:
        self._directory = directory
        self._source = source
        self._rows = rows

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        taken = value if isinstance(value, TakenIn) else None
        self._directory.tell("relay", _QueueAnswer(self._source, self._rows, None, taken))

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._directory.tell("relay", _QueueAnswer(self._source, self._rows, error))


@attrs.define(eq=False)
class _Progress:
    """How far the relay has come with one source."""

    drafts: dict[int, Sequence[Draft] | DraftRun] = attrs.field(factory=dict)
    """What was read and is not settled."""
    polling: OutboxPolling = attrs.field(factory=OutboxPolling)
    """When and from where it is read next."""
    unable: bool = False
    """This process could read rows and not settle them: it may not publish or delete. Reset once it settles all rows of a read."""
    left_some: bool = False
    """Some of the rows that were read last could not be settled for that reason."""


class Relay(Actor):
    """Started with the first outbox; looks at each in turn, and at once at one that had a full batch."""

    runs_host_code = True

    def __init__(
        self, directory: Home, pending: PendingRequests, executor: Executor, extensions: Extensions, generation: int
    ) -> None:
        super().__init__(directory, "relay", generation)
        self.pending = pending
        self.extensions = extensions
        self.now_s = executor.monotonic_s
        self.progress: dict[str, _Progress] = {}

    def on_start(self) -> None:
        """Look at all outboxes."""
        self._look_at_all()

    def patience_s(self) -> float | None:
        """See `Actor.patience_s`: until the next look; while the queue has a batch, until its answer."""
        due = [progress.polling.next_s for progress in self.progress.values() if not progress.drafts]
        return max(0.0, min(due) - self.now_s()) if due else None

    def on_idle(self) -> None:
        """Look at the outboxes that are due."""
        self._look_at_all()

    def on_batch(self, messages: list[Any]) -> None:
        """Settle the rows that the queue has answered for; any other message means: look now."""
        for message in messages:
            if isinstance(message, _QueueAnswer):
                self._settle(message)
            else:
                for progress in self.progress.values():
                    progress.polling.hurry()
        self._look_at_all()

    def _look_at_all(self) -> None:
        sources = dict(self.extensions.outboxes)
        self.progress = {name: self.progress.get(name, _Progress()) for name in sources}
        for name, source in sources.items():
            progress = self.progress[name]
            if not progress.drafts and progress.polling.is_due(self.now_s()):
                self._look(source, progress)

    def _look(self, source: Source, progress: _Progress) -> None:
        polling = progress.polling
        after = polling.begin(self.now_s(), source.every_s)
        try:
            if not self._is_ours(source):
                return
            read = source.read(after)
        except FOREIGN_ERRORS as error:  # a database that is down is no reason for an actor to die again and again
            self.extensions.note_reading(source, failed=True)
            self._failed(source, progress, error)
            return
        self.extensions.note_reading(source, failed=progress.unable)
        progress.left_some = False
        polling.note_read(read[-1][0] if read else 0)
        if not read:
            return
        for row, draft in read:
            if isinstance(draft, InvalidMessage):
                self._refused(source, progress, row, draft)
            else:
                progress.drafts[row] = _several(draft)
        if progress.drafts:
            self._publish(source, progress.drafts)
        else:
            polling.hurry()

    def _is_ours(self, source: Source) -> bool:
        if source.shared_as is None and self.extensions.is_shared:
            source.find_out()
        return self.extensions.relays(source)

    def _publish(self, source: Source, drafts: dict[int, Sequence[Draft] | DraftRun]) -> None:
        # Sent again until it is answered, whatever dies; an id that is known already adds nothing.
        reply = _RelayReply(self.directory, source.name, [*drafts])
        if source.is_spool:
            rows = TakeInRows([*drafts.items()], cast("Spool", source).in_append)
            self.pending.send("queue", rows, reply, from_outside=False)
            return
        publish = Publish([draft for together in drafts.values() for draft in together])
        self.pending.send("queue", publish, reply, from_outside=False)

    def _settle(self, answer: _QueueAnswer) -> None:
        source, progress = self.extensions.outboxes.get(answer.source), self.progress.get(answer.source)
        if source is None or progress is None:
            return  # it was stopped meanwhile: its rows are still there, and are known when they come again
        rows = [row for row in answer.rows if row in progress.drafts]
        if source.is_spool and isinstance(answer.error, QueueFull):
            logger.debug("what is spooled waits for room in the backlog: %s", answer.error)
        elif answer.error is None:
            try:
                if answer.taken is None:
                    source.delete(answer.rows)
                else:  # the others come again, in their order
                    cast("Spool", source).taken_in(answer.rows[: answer.taken.count], answer.taken.left)
            except FOREIGN_ERRORS as error:  # as above
                progress.left_some = True
                self._failed(source, progress, error)
            else:
                progress.polling.succeed()
        elif len(answer.rows) > 1 and rows and not source.is_spool and not isinstance(answer.error, NotRunning):
            # One of them is in the way of the others (its key may be held): publish each by itself.
            for row in rows:
                self._publish(source, {row: progress.drafts[row]})
            return
        elif rows and isinstance(answer.error, REFUSALS):
            self._refused(source, progress, rows[0], answer.error)
            progress.polling.hurry()
        else:
            progress.left_some |= isinstance(answer.error, NotAllowed)  # other processes may have the right
            self._failed(source, progress, answer.error)
        for row in rows:
            del progress.drafts[row]
        if progress.left_some or (answer.error is None and not progress.drafts):
            progress.unable = progress.left_some
            self.extensions.note_reading(source, failed=progress.unable)

    def _refused(self, source: Source, progress: _Progress, row: int, error: BaseException) -> None:
        """Leave a row where it is and look behind it; all such are tried again together, after a pause that grows."""
        now_s = self.now_s()
        level = logging.WARNING if progress.polling.refuse(now_s, source.every_s) else logging.DEBUG
        again_s = progress.polling.retry_s - now_s
        logger.log(level, "row %d of the outbox %s was refused, tried again in %.1f s: %s", row, source.name, again_s, error)

    def _failed(self, source: Source, progress: _Progress, error: BaseException) -> None:
        """Leave the rows where they are, and look again after a pause that grows."""
        pause_s = progress.polling.fail(self.now_s(), source.every_s)
        logger.warning("the outbox %s could not be relayed, tried again in %g s: %r", source.name, pause_s, error)


def relay_now(source: Spool, pending: PendingRequests, new_answer: Callable[[], Answer], wait_s: float) -> int:
    """Send the queue what the spool has now, and wait until it is taken in; return how many rows were taken in.

    For a start, before any handler runs. What finds no room, or no answer, is left to the relay.

    Raises:
        NotRunning: the run has ended.
    """
    count = 0
    while read := source.read(0):
        rows = [(row, _several(draft)) for row, draft in read if not isinstance(draft, InvalidMessage)]
        taken = TakenIn(0, [])
        if rows:
            answer = new_answer()
            pending.send("queue", TakeInRows(rows, source.in_append), answer, from_outside=False)
            try:
                taken = answer.wait(wait_s)
            except NotRunning:
                raise
            except (PerdureError, TimeoutError) as error:
                logger.warning("what was spooled is taken in later: %s", error)
        source.taken_in([row for row, _ in rows[: taken.count]], taken.left)
        count += taken.count
        if taken.count < len(read):
            break
    return count


def _several(row: Draft | Sequence[Draft] | DraftRun) -> Sequence[Draft] | DraftRun:
    return [row] if isinstance(row, Draft) else row
