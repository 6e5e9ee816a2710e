"""`CancelsWhere`: the part of `admin` that cancels all messages that an expression selects.

Not here: the cancelling of one message (`System.cancel`), and the rules (`perdure.events.queue.bulk_acts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.choices import check_callable, check_whole
from perdure.events.queue.searching.live_messages import CountLive, live_search_of
from perdure.events.seconds import wait_seconds
from perdure.operations.bulk.acts_where import Plan, carried_out, checked_expression
from perdure.operations.bulk.counted import CountedMessages

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.queue.searching.letter_search import Counted
    from perdure.operations.bulk.acts_where import BulkAct
    from perdure.operations.running_system import RunningSystem

__all__ = ["CancelsWhere"]


class CancelsWhere:
    """Cancels the messages that an expression selects. Safe in any thread."""

    _system: RunningSystem

    def count_where(self, where: str, *, upto: int | None = None) -> CountedMessages:
        """Return how many messages that wait or run an expression selects, by type: the dry run of `cancel_where`.

        The owner looks at them in pieces, so that publishing goes on meanwhile.

        Args:
            where: for example `type=Order payload.customer.id=7`; the expressions of `perdure search`. Of what happened to a
                message, only `error~TEXT` can be asked for: an attempt failed so.
            upto: count only messages up to this number, that of an earlier count, say.

        Raises:
            InvalidMessage: the expression cannot be read; names the word. Or `upto` is no whole number.
        """
        if upto is not None:
            check_whole("upto", upto, 0)
        where = checked_expression(where, live_search_of)
        self._system.permit("look")
        counted: Counted = self._system.ask("queue", CountLive(where, upto))
        self._system.permit("look", lambda: counted.by_type)
        return CountedMessages(counted.where, counted.seq, counted.by_type)

    def cancel_where(
        self,
        where: str | CountedMessages,
        *,
        timeout: float | None = None,
        progress: Callable[[BulkAct], object] | None = None,
        id: str | None = None,
    ) -> BulkAct:
        """Cancel the messages that an expression selects, waiting or running, and wait until it is done.

        The owner carries it out in commits of at most 1,000 messages. Its plan is on record, so it goes on after a crash, and
        without the caller; `dead_letters.bulk(id)` says how far it is. The reason on record is that of `acting_as`.

        Args:
            where: an expression, or what `count_where` returned for it: then nothing is hit that was published since.
            timeout: seconds to wait; the act goes on after that. Without limit unless given; 0 only begins it.
            progress: called with the act, again and again, as it goes on.
            id: of the act, made if it is not given. An act that is known under it (the last 64 are) is not begun again.

        Raises:
            InvalidMessage: the expression cannot be read; names the word. Or the id is another act's.
            NotAllowed: the system's `authorize` refuses it, for one of the types.
        """
        wait_seconds("timeout", timeout)
        check_callable("progress", progress)
        counted = where if isinstance(where, CountedMessages) else self.count_where(where)
        plan = Plan("cancel", counted.where, counted.upto, counted.count, counted.by_type)
        return carried_out(self._system, plan, timeout, progress, id)
