"""`OperatorsActs`: the requests of operators to the queue. Each is decided, noted on record with who asked for it, and answered.

What an act changes is a rule (`events/queue/decisions`, `replay_and_purge`, `bulk_acts`). Part of the queue actor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.core.messages import StartActor, StopHandler, Tell, Wake
from perdure.actors.core.texts import one_line
from perdure.actors.requests.answers import Settle
from perdure.events.acts import on_messages
from perdure.events.commands import AdvanceBulk, BeginBulk, Cancel, LookAtBulk, Purge, Replay, RunNow
from perdure.events.errors import UnknownMessage
from perdure.events.queue import replay_and_purge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.actors.core.extensions import Extensions
    from perdure.actors.queue.decision_pass import DecisionPass
    from perdure.actors.requests.request import Request
    from perdure.events.structures.message import Message

__all__ = ["OperatorsActs"]


class OperatorsActs:
    """Answers operators during one term of the queue."""

    def __init__(self, queue: DecisionPass, extensions: Extensions) -> None:
        self._queue = queue
        self._extensions = extensions

    def on_message(self, request: Request, command: Cancel | RunNow | AdvanceBulk, now_us: int) -> None:
        """Cancel or hurry a message, have a schedule run now, or take the next step of a bulk act.

        Raises:
            UnknownMessage: there is no such message or schedule.
            PerdureError: it is refused.
        """
        if isinstance(command, Cancel):
            self._cancel(request, command, now_us)
        elif isinstance(command, AdvanceBulk):
            self._advance_bulk(request, command, now_us)
        elif command.schedule and command.draft is None:
            self._run_schedule(request, command)
        else:
            self._run_now(request, command, now_us)

    def _cancel(self, request: Request, command: Cancel, now_us: int) -> None:
        """Cancel a message; if a worker has it, tell the dispatcher to stop its handler."""
        queue = self._queue
        message = queue.state.by_id(command.id)
        stops = [] if message is None else self._stops([message])
        events = queue.decide(command, now_us)
        self._note(request, command, bool(events))
        queue.written += stops
        queue.synced.append(Settle(queue.pending, request, bool(events) or request.times > 1))

    def _advance_bulk(self, request: Request, command: AdvanceBulk, now_us: int) -> None:
        queue = self._queue
        stops = self._stops(message for number in command.cancels if (message := queue.state.look(number)) is not None)
        events = queue.decide(command, now_us)
        queue.written += stops if events else []  # none: it was sent again
        queue.synced.append(Settle(queue.pending, request, len(events)))

    def _stops(self, messages: Iterable[Message]) -> list[Tell]:
        """Return what stops the handlers of those messages that workers have."""
        directory = self._queue.directory
        return [
            Tell(directory, "dispatcher", StopHandler(one.published.type, (one.number, one.published.id, one.lease.attempt)))
            for one in messages
            if one.lease is not None and not one.lease.holder
        ]

    def _run_schedule(self, request: Request, command: RunNow) -> None:
        if command.schedule not in self._extensions.schedules:
            known = ", ".join(map(one_line, self._extensions.schedules)) or "none"
            msg = f"no schedule {one_line(command.schedule)} is registered in the process that owns the log; there are: {known}"
            raise UnknownMessage(msg)
        queue = self._queue
        queue.written.append(Tell(queue.directory, "scheduler", request))  # which makes its message, and answers

    def _run_now(self, request: Request, command: RunNow, now_us: int) -> None:
        queue = self._queue
        again = request.times > 1 and command.draft is None and queue.state.by_id(command.id) is not None
        try:
            events = queue.decide(command, now_us)
        except UnknownMessage:
            if not again:
                raise
            events = []  # it was woken the first time
        self._note(request, command, len(events))
        queue.synced.append(Settle(queue.pending, request, len(events)))

    def on_letters(self, request: Request, command: Replay | Purge, now_us: int) -> None:
        """Replay or purge dead letters; the answer is how many.

        Raises:
            PerdureError: it is refused.
        """
        queue = self._queue
        again = request.times > 1
        if again and isinstance(command, Replay):
            command.again = True
        events = queue.decide(command, now_us)
        self._note(request, command, len(events))
        queue.synced.append(Settle(queue.pending, request, replay_and_purge.done_for(queue.state, command, events, again=again)))

    def on_bulk(self, request: Request, command: BeginBulk | LookAtBulk, now_us: int) -> None:
        """Begin a bulk act, which `bulk_runner` carries out, or look at it; the answer is how it stands.

        Raises:
            PerdureError: it is refused.
        """
        queue = self._queue
        if isinstance(command, BeginBulk):
            queue.decide(command, now_us)
            self.start_bulk_runner()
        bulks = queue.state.bulks
        queue.synced.append(Settle(queue.pending, request, bulks.get(command.bulk) if command.bulk else list(bulks.values())))

    def start_bulk_runner(self) -> None:
        """Start the actor that carries out bulk acts which are not over; behind their plans, which are written first."""
        queue = self._queue
        if any(not bulk.is_over for bulk in queue.state.bulks.values()):
            self._extensions.has_bulks = True
            queue.synced.append(Tell(queue.directory, "supervisor", StartActor("bulk_runner")))
            queue.synced.append(Tell(queue.directory, "bulk_runner", Wake()))

    def _note(self, request: Request, command: Cancel | Replay | Purge | RunNow, count: int) -> None:
        """Put an operator's act on record with what it changed; one that is sent again and changes nothing is there already."""
        if command.act is not None and (count or request.times == 1):
            self._queue.apply([on_messages(command.act, count)])
