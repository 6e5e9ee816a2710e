"""The operator's view of the dead letters: list, replay, purge.

Not here: what one of them is (`dead_letter`), and which message becomes one and which may return (`events/queue`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.arguments.acting import new_act
from perdure.arguments.choices import check_flag, check_whole
from perdure.arguments.moments import checked_id, moment, moment_us
from perdure.events.commands import Purge, Replay
from perdure.events.commit_size import measure
from perdure.events.errors import DuplicateKey, InvalidMessage, PerdureError, UnknownMessage
from perdure.events.queue.dead_letters import Letter, death, replay_item
from perdure.events.queue.searching.expression import search_of, type_meant
from perdure.events.queue.searching.letter_search import Selection, Stats
from perdure.events.seconds import checked_seconds, shown
from perdure.events.vocabulary import Extras, Replayed, evolved
from perdure.operations.bulk.acts_where import ActsWhere
from perdure.operations.bulk.counted import checked_expression
from perdure.operations.dead_letter import DeadLetter, DeadLetterStats, entry_of
from perdure.publishing.given_message import is_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perdure.events.commands import ReplayItem
    from perdure.operations.running_system import RunningSystem

__all__ = ["DeadLetters"]

M = TypeVar("M")

PURGE_COMMIT_MAX = 10_000
"""Dead letters that one commit purges."""
REPLAY_COMMIT_MAX = 1_000
"""Dead letters that one commit replays."""
REPLAY_COMMIT_BYTES = 8 << 20
"""Bytes that the letters of one replay commit take in the log; a larger letter gets a commit of its own."""


class DeadLetters(ActsWhere):
    """Lists, replays and purges dead letters. Safe in any thread; a method that changes something returns once it is on disk.

    Raises:
        NotRunning, StoreUnavailable: every method, as `System.publish`.
        TimeoutError: no answer within a minute; what was asked may be done all the same.
        NotAllowed: within `acting_as`, and from another process: the system's `authorize` refuses the act.
    """

    def __init__(self, system: RunningSystem) -> None:
        self._system = system

    @overload
    def list(
        self,
        *,
        type: type[M],
        reason: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        where: str | None = None,
    ) -> list[DeadLetter[M | bytes]]: ...

    @overload
    def list(
        self,
        *,
        type: str | None = None,
        reason: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        where: str | None = None,
    ) -> list[DeadLetter[Any]]: ...

    def list(
        self,
        *,
        type: str | type | None = None,
        reason: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        where: str | None = None,
    ) -> list[DeadLetter[Any]]:
        """Return dead letters, newest first; without a type, takes the right `reveal` for each type that has any.

        Args:
            type: return only letters of this message type.
            reason: return only letters with this text in their reason, exception or its message; case does not matter.
            limit: the most letters to return.
            before: return only letters older than the one with this id. The last id of a page gives the next page.
            where: return only letters that this expression selects, as for `count_where`.

        Raises:
            ValueError: `limit` is not a whole number of 0 or more, or `reason` is not a string.
            UnknownMessage: no dead letter has the id `before`.
        """
        if limit is not None:
            check_whole("limit", limit, 0)
        kind = self._type_name(type)
        self._system.permit("reveal", lambda: [kind or ""])
        if kind is None and (where is None or type_meant(where) is None):  # all are searched: the answer would tell of each type
            self._system.permit("reveal", lambda: self._system.ask("dead_letters", None).by_type)
        older = None if before is None else self._one(before, "before").event.number
        where = None if where is None else checked_expression(where, search_of)
        letters = self._select(Selection(type=kind, reason=_text(reason), limit=limit, older_than=older, where=where))
        self._system.permit("reveal", lambda: _types(letters))
        return [entry_of(letter, self._system.drafts) for letter in letters]

    def get(self, id: str) -> DeadLetter[Any]:
        """Return one dead letter.

        Raises:
            UnknownMessage: no dead letter has that id.
        """
        letter = self._one(id)
        self._system.permit("reveal", lambda: [letter.event.published.type])
        return entry_of(letter, self._system.drafts)

    def replay(self, id: str, reset_retries: bool = True, *, message: Any = None) -> None:  # noqa: FBT001, FBT002 - the front door's names
        """Return one dead letter to the queue.

        Args:
            id: the id of the message.
            reset_retries: count its attempts from zero. Otherwise they stay counted, and it gets one more attempt.
            message: handle this message in its place, under the same id. It must be of the same type; the log records the change.

        Raises:
            UnknownMessage: no dead letter has that id, or another caller replayed or purged it in the meantime.
            DuplicateKey: a newer live message holds its key.
            InvalidMessage: the edited message is of another type, or cannot be encoded.
        """
        check_flag("reset_retries", reset_retries)
        item = replay_item(self._one(id), reset_retries=reset_retries)
        self._system.permit("replay" if message is None else "edit", lambda: [item.published.type])
        if message is not None:
            draft = self._system.drafts.draft(message, id=item.published.id)
            if draft.type != item.published.type:
                msg = f"message: an edited {item.published.type} must stay one, not become a {draft.type}"
                raise InvalidMessage(msg)
            extras = item.published.extras
            if extras is not None or draft.extras is not None:
                # Fields that a person gave, where the class is not known, are those of the version that was published.
                version = (extras if is_given(message) else draft.extras) or Extras()
                extras = (extras or Extras())._replace(version=version.version)
            published = evolved(item.published, payload=draft.payload, extras=extras)
            item = item._replace(published=published, edited=True)
        self._system.ask("queue", Replay([item], act=new_act("replay" if message is None else "edit", item.published.id)))

    def replay_all(
        self,
        *,
        type: str | type | None = None,
        reason: str | None = None,
        reset_retries: bool = True,
        dry_run: bool = False,
    ) -> int:
        """Return all matching dead letters to the queue, oldest first, and return how many this call replayed.

        One commit replays at most 1,000 letters and 8 MiB, so that publishes in between need not wait for all of them. A commit
        replays all of its letters or none. If a commit fails, or the process ends, letters of earlier commits stay replayed and the
        others stay dead letters; call it again for those. Letters that were replayed or purged in the meantime are skipped and not
        counted.

        Args:
            type: as for `list`.
            reason: as for `list`.
            reset_retries: as for `replay`.
            dry_run: only count the matching letters.

        Raises:
            DuplicateKey: a newer live message holds the key of one of them; no letter of that commit is replayed.
            ValueError: `reason` is not a string.
        """
        check_flag("reset_retries", reset_retries)
        check_flag("dry_run", dry_run)
        letters = self._select(Selection(type=self._type_name(type), reason=_text(reason)))
        if dry_run:
            return len(letters)
        self._system.permit("replay", lambda: _types(letters))
        back = 0
        act = new_act("replay all", _subject(type=self._type_name(type), reason=reason))
        for items in _portions(replay_item(letter, reset_retries=reset_retries) for letter in reversed(letters)):
            try:
                back += self._system.ask("queue", Replay(items, skips=True, act=act))
            except DuplicateKey as error:
                msg = f"{error} {back:,} of {len(letters):,} are replayed; call `replay_all` again for the rest."
                raise DuplicateKey(msg, error.live_id) from error
            except PerdureError as error:
                error.add_note(f"{back:,} of {len(letters):,} are replayed; call `replay_all` again for the rest.")
                raise
        return back

    def purge(
        self,
        older_than: dt.timedelta | dt.datetime | float | None = None,
        *,
        type: str | type | None = None,
        reason: str | None = None,
    ) -> int:
        """Remove the matching dead letters for good.

        One commit removes at most 10,000 letters, newest first. If a commit fails, letters of earlier commits stay removed.

        Args:
            older_than: remove only letters that died before this moment (an aware datetime) or longer ago than this time
                (timedelta, or seconds).
            type: as for `list`.
            reason: as for `list`.

        Returns:
            How many letters this call removed, without those that another caller replayed or purged in the meantime.

        Raises:
            ValueError: the age is negative or not a time, the datetime is naive, or `reason` is not a string.
        """
        before_us = None
        if isinstance(older_than, dt.datetime):
            before_us = moment_us("older_than", older_than)
        elif older_than is not None:
            try:
                age_s = checked_seconds("older_than", older_than)
            except InvalidMessage as error:
                msg = f"{error}; or an aware datetime"
                raise InvalidMessage(msg) from None
            clock = self._system.clock  # may be ahead of the wall clock, and of the owner's: what is younger must stay
            before_us = min(clock.now_us(), clock.wall_us()) - round(age_s * 1_000_000)
        letters = self._select(Selection(type=self._type_name(type), reason=_text(reason), before_us=before_us))
        self._system.permit("purge", lambda: _types(letters))
        purged = 0
        act = new_act("purge", _subject(type=self._type_name(type), reason=reason, before=before_us and moment(before_us)))
        for first in range(0, len(letters), PURGE_COMMIT_MAX):
            deaths = [death(letter.event) for letter in letters[first : first + PURGE_COMMIT_MAX]]
            purged += self._system.ask("queue", Purge(deaths, "purged by an operator", act))
        return purged

    def stats(self) -> DeadLetterStats:
        """Return the dead letters' counts by type and by reason, and the times of the oldest and the newest.

        Takes the right `look` for each type among them.
        """
        self._system.permit("look")
        stats: Stats = self._system.ask("dead_letters", None)
        self._system.permit("look", lambda: stats.by_type)
        oldest = None if stats.oldest_us is None else moment(stats.oldest_us)
        newest = None if stats.newest_us is None else moment(stats.newest_us)
        return DeadLetterStats(stats.total, stats.by_type, stats.by_reason, oldest, newest)

    def _select(self, selection: Selection) -> Sequence[Letter]:
        found: Sequence[Letter] = self._system.ask("dead_letters", selection)
        return found

    def _one(self, ident: str, field: str = "id") -> Letter:
        found = self._select(Selection(id=checked_id(field, ident)))
        if not found:
            msg = f"message {shown(ident)} is not a dead letter; `dead_letters.list()` shows those that are."
            raise UnknownMessage(msg)
        return found[0]

    def _type_name(self, kind: str | type | None) -> str | None:
        return None if kind is None else self._system.drafts.names.of(kind)


def _portions(items: Iterable[ReplayItem]) -> Iterator[list[ReplayItem]]:
    """Yield the letters of each replay commit."""
    portion: list[ReplayItem] = []
    size = 0
    for item in items:
        more = measure([Replayed(item.death.number, item.published, item.attempts, item.failures)]).bytes
        if portion and (len(portion) >= REPLAY_COMMIT_MAX or size + more > REPLAY_COMMIT_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += more
    if portion:
        yield portion


def _types(letters: Iterable[Letter]) -> set[str]:
    return {letter.event.published.type for letter in letters}


def _subject(**filters: object) -> str:
    """Return the filter of a bulk act for the record: `type=Order reason=timeout`."""
    return " ".join(f"{name}={value}" for name, value in filters.items() if value is not None)


def _text(reason: str | None) -> str | None:
    if reason is not None and not isinstance(reason, str):
        msg = f"reason: a string to search for, not {shown(reason)}"
        raise InvalidMessage(msg)
    return reason
