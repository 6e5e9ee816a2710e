"""`ActsWhere`: the part of `dead_letters` that acts on all letters that an expression selects.

Not here: acts on one letter (`perdure.operations.dead_letters`), and the rules (`perdure.events.queue.bulk_acts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.core.messages import Report
from perdure.arguments.choices import check_callable, check_flag
from perdure.arguments.labels import plain
from perdure.arguments.moments import checked_id
from perdure.events.errors import InvalidMessage
from perdure.events.queue.bulk_acts import DEPTH_MAX, TOO_DEEP, is_deeper
from perdure.events.queue.searching.expression import search_of, type_meant
from perdure.events.queue.searching.letter_search import CountLetters
from perdure.events.seconds import shown, wait_seconds
from perdure.operations.bulk.bulk_act import Plan, carried_out, found_bulk, known_bulks
from perdure.operations.bulk.counted import CountedLetters, asked_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.operations.bulk.bulk_act import BulkAct
    from perdure.operations.running_system import RunningSystem

__all__ = ["ActsWhere"]


class ActsWhere:
    """Acts on the dead letters that an expression selects. Safe in any thread."""

    _system: RunningSystem

    def count_where(self, where: str, *, upto: int | None = None) -> CountedLetters:
        """Return how many dead letters an expression selects, by type, and change nothing: the dry run of a bulk act.

        Args:
            where: for example `type=Order error~timeout payload.customer.id=7`; the expressions of `perdure search`.
            upto: count only what had died at this sequence number, that of an earlier count, say.

        Raises:
            InvalidMessage: the expression cannot be read; names the word. Or `upto` is no whole number.
        """
        counted = asked_count(self._system, "dead_letters", CountLetters, search_of, where, upto)
        return CountedLetters(counted.where, counted.seq, counted.by_type)

    def replay_where(
        self,
        where: str | CountedLetters,
        *,
        reset_retries: bool = True,
        timeout: float | None = None,
        progress: Callable[[BulkAct], object] | None = None,
        id: str | None = None,
    ) -> BulkAct:
        """Return the dead letters that an expression selects to the queue, the oldest first, and wait until it is done.

        The owner carries it out in commits of at most 1,000 letters and 8 MiB. Its plan is on record, so it goes on after a crash,
        and without the caller. It hits what was counted and is still the same dead letter. One whose key a newer message holds is
        passed over.

        Args:
            where: an expression, or what `count_where` returned for it: then nothing is hit that died since.
            reset_retries: count their attempts from zero. Otherwise they stay counted, and each gets one more attempt.
            timeout: seconds to wait; the act goes on after that. Without limit unless given; 0 only begins it.
            progress: called with the act, again and again, as it goes on.
            id: of the act, made if it is not given. An act that is known under it (the last 64 are) is not begun again.

        Raises:
            InvalidMessage: the expression cannot be read; names the word. Or the id is another act's.
            NotAllowed: the system's `authorize` refuses it, for one of the types.
        """
        return self._act("replay", where, timeout, progress, id, reset_retries=reset_retries)

    def edit_where(
        self,
        where: str | CountedLetters,
        changes: Mapping[str, Any],
        *,
        reset_retries: bool = True,
        timeout: float | None = None,
        progress: Callable[[BulkAct], object] | None = None,
        id: str | None = None,
    ) -> BulkAct:
        """As `replay_where`, with values set in each payload, which must be MessagePack. The log keeps both payloads.

        Args:
            where: as for `replay_where`.
            changes: values by their paths: `{"customer.id": 7, "lines.0.price": 1.5}`. Letters without it are passed over.
            reset_retries: as for `replay_where`.
            timeout: as for `replay_where`.
            progress: as for `replay_where`.
            id: as for `replay_where`.

        Raises:
            InvalidMessage: as `replay_where`; or nothing is to be changed, or a value is none that MessagePack holds.
            NotAllowed: as `replay_where`.
        """
        changed = _checked_changes(changes)
        return self._act("edit", where, timeout, progress, id, reset_retries=reset_retries, changes=changed)

    def purge_where(
        self,
        where: str | CountedLetters,
        *,
        timeout: float | None = None,
        progress: Callable[[BulkAct], object] | None = None,
        id: str | None = None,
    ) -> BulkAct:
        """Remove the dead letters that an expression selects for good; else as `replay_where`.

        Raises:
            InvalidMessage, NotAllowed: as `replay_where`.
        """
        return self._act("purge", where, timeout, progress, id)

    def bulk(self, id: str) -> BulkAct:
        """Return a bulk act as it stands now; takes the right `look`, also for the type that its expression names, if it does.

        Raises:
            UnknownMessage: no such act is known; the last 64 are.
        """
        self._system.permit("look")
        act = found_bulk(self._system, checked_id("id", id))
        self._system.permit("look", lambda: [type_meant(act.where) or ""])
        return act

    def bulks(self) -> list[BulkAct]:
        """Return the bulk acts that are known, the oldest first: those under way, and the last that have ended.

        Takes the right `look` for each type that there is, as an expression may mean any.
        """
        self._system.permit("look")
        self._system.permit("look", lambda: self._system.ask("queue", Report()).by_type)
        return known_bulks(self._system)

    def _act(
        self,
        action: str,
        where: str | CountedLetters,
        timeout: float | None,
        progress: Callable[[BulkAct], object] | None,
        ident: str | None,
        *,
        reset_retries: bool = True,
        changes: dict[str, Any] | None = None,
    ) -> BulkAct:
        wait_seconds("timeout", timeout)
        check_callable("progress", progress)
        check_flag("reset_retries", reset_retries)
        counted = where if isinstance(where, CountedLetters) else self.count_where(where)
        plan = Plan(action, counted.where, counted.seq, counted.count, counted.by_type, reset_retries, changes or {})
        return carried_out(self._system, plan, timeout, progress, ident)


def _checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes as the plain data that the log holds of them."""
    try:
        given = {plain(path) if isinstance(path, str) else path: value for path, value in dict(changes).items()}
        held: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(given))
    except Exception as error:  # also foreign code: a mapping or a value of the caller's own
        msg = f"changes: values by their paths, which MessagePack can hold; {shown(changes)} cannot be written: {shown(error)}"
        raise InvalidMessage(msg) from error
    if not held or not all(isinstance(path, str) and all(path.split(".")) for path in given):
        msg = f"changes: values by their paths, for example {{'customer.id': 7}}, not {shown(changes)}"
        raise InvalidMessage(msg)
    if is_deeper(held, DEPTH_MAX + 1):
        raise InvalidMessage(TOO_DEEP)
    return held
