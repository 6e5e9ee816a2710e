"""`CancelsWhere`: the part of `admin` that cancels all messages that an expression selects.

Not here: the cancelling of one message (`System.cancel`), and the rules (`perdure.events.queue.bulk_acts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.choices import check_callable
from perdure.events.queue.searching.live_messages import CountLive, live_search_of
from perdure.events.seconds import wait_seconds
from perdure.operations.bulk.bulk_act import Plan, carried_out
from perdure.operations.bulk.counted import CountedMessages, asked_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.operations.bulk.bulk_act import BulkAct
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
        counted = asked_count(self._system, "queue", CountLive, live_search_of, where, upto)
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
