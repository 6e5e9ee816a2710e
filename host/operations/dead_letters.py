"""The operator's view of the dead letters: look, replay, purge.

Which message dies, and whether one may come back, is the queue's rule; here it is only asked for.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import attrs

from perdure.arguments.choices import check_whole
from perdure.arguments.moments import checked_id, moment, moment_us
from perdure.events.commands import Purge, Replay
from perdure.events.commit_size import measure
from perdure.events.errors import DuplicateKey, InvalidMessage, PerdureError, UnknownMessage
from perdure.events.public_names import public, with_public_names
from perdure.events.queue.dead_letters import Letter, Selection, Stats, death, full_reason, replay_item
from perdure.events.seconds import checked_seconds
from perdure.events.vocabulary import Extras, Replayed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perdure.events.commands import ReplayItem
    from perdure.operations.running_system import RunningSystem

__all__ = ["DeadLetter", "DeadLetterStats", "DeadLetters", "Failure"]

M = TypeVar("M")
PURGED_TOGETHER = 10_000
TOGETHER = 1_000
TOGETHER_BYTES = 8 << 20
"""Letters of one commit of a replay, and the bytes that they take on record; one that is larger goes alone."""


@attrs.frozen
class Failure:
    """One failed attempt."""

    at: dt.datetime
    attempt: int
    exception: str
    message: str


@public
@attrs.frozen
class DeadLetter(Generic[M]):
    """One dead letter. `message` is the decoded object, or the raw bytes where they can no longer be decoded."""

    id: str
    type: str
    message: M
    key: str | None
    reason: str
    """Why it died, in one line, with the beginning of the last exception's message."""
    exception: str
    """The type of the last exception, qualified."""
    error: str
    """The last exception's message."""
    traceback: str
    attempts: int
    failed_at: dt.datetime
    failures: tuple[Failure, ...]
    """Every failed attempt, oldest first (the last 32)."""
    correlation_id: str
    causation_id: str | None
    headers: dict[str, str]


@attrs.frozen
class DeadLetterStats:
    """How many dead letters there are, of what, and since when."""

    total: int
    by_type: dict[str, int]
    by_reason: dict[str, int]
    """By reason without the exception's message, which may differ from letter to letter; each is found by `list(reason=...)`."""
    oldest: dt.datetime | None
    newest: dt.datetime | None


class DeadLetters:
    """All methods may be called in any thread; those that change something return once it is on disk.

    Raises:
        NotRunning, StoreUnavailable: as `System.publish`, all of them.
    """

    def __init__(self, system: RunningSystem) -> None:
        self._system = system

    @overload
    def list(
        self, *, type: type[M], reason: str | None = None, limit: int | None = None, before: str | None = None
    ) -> list[DeadLetter[M | bytes]]: ...

    @overload
    def list(
        self, *, type: str | None = None, reason: str | None = None, limit: int | None = None, before: str | None = None
    ) -> list[DeadLetter[Any]]: ...

    def list(
        self,
        *,
        type: str | type | None = None,  # noqa: A002 - the front door's name
        reason: str | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> list[DeadLetter[Any]]:
        """Give dead letters, newest first.

        Args:
            type: only those of this type.
            reason: only those with this text anywhere in reason, exception or its message, whatever the case.
            limit: at most so many.
            before: only those older than the dead letter of this id: the last one of a page gives the next page.

        Raises:
            ValueError: a limit that is no whole number of 0 or more, a reason that is no text.
            UnknownMessage: there is no dead letter of the id `before`.
        """
        if limit is not None:
            check_whole("limit", limit, 0)
        older = None if before is None else self._one(before).event.number
        letters = self._select(Selection(type=self._type_name(type), reason=_text(reason), limit=limit, older_than=older))
        return [self._entry(letter) for letter in letters]

    def get(self, id: str) -> DeadLetter[Any]:  # noqa: A002 - the front door's name
        """Give one dead letter.

        Raises:
            UnknownMessage: there is none of that id.
        """
        return self._entry(self._one(id))

    def replay(self, id: str, reset_retries: bool = True, *, message: Any = None) -> None:  # noqa: A002, FBT001, FBT002 - the front door's names
        """Bring one back to the queue. Without resetting, its attempts stay counted: it has one more.

        Args:
            id: whose.
            reset_retries: count its attempts from zero.
            message: handle this in its place, under the same id; the change is on record. Must be of the same type.

        Raises:
            UnknownMessage: there is no dead letter of that id, or somebody else replayed or purged it in the meantime.
            DuplicateKey: a newer live message has its key.
            InvalidMessage: the edited message is of another type, or cannot be encoded.
        """
        item = replay_item(self._one(id), reset_retries=reset_retries)
        if message is not None:
            draft = self._system.drafts.draft(message, id=item.published.id)
            if draft.type != item.published.type:
                msg = f"message: an edited {item.published.type} must stay one, not become a {draft.type}"
                raise InvalidMessage(msg)
            extras = item.published.extras
            if extras is not None or draft.extras is not None:
                extras = (extras or Extras())._replace(version=(draft.extras or Extras()).version)
            published = attrs.evolve(item.published, payload=draft.payload, extras=extras)  # type: ignore[misc]
            item = item._replace(published=published, edited=True)
        self._system.ask("queue", Replay([item]))

    def replay_all(
        self,
        *,
        type: str | type | None = None,  # noqa: A002 - the front door's name
        reason: str | None = None,
        reset_retries: bool = True,
        dry_run: bool = False,
    ) -> int:
        """Bring back all that are meant, oldest first; gives how many this call brought back. A dry run only counts them.

        In commits of 1,000 letters and 8 MiB at most, so that publishes in between do not wait for all of it; each commit brings
        back all of its letters or none. Where one fails, or the process ends, those of the commits before it are back and the
        others are still dead letters: call it again. Letters that were replayed or purged in the meantime are passed over and not
        counted.

        Raises:
            DuplicateKey: a newer live message has the key of one of them; none of its commit is brought back.
            ValueError: a reason that is no text.
        """
        letters = self._select(Selection(type=self._type_name(type), reason=_text(reason)))
        if dry_run:
            return len(letters)
        back = 0
        for items in _portions(replay_item(letter, reset_retries=reset_retries) for letter in reversed(letters)):
            try:
                back += self._system.ask("queue", Replay(items, skips=True))
            except DuplicateKey as error:
                msg = f"{error} {back:,} of {len(letters):,} are back; `replay_all` goes on with the rest."
                raise DuplicateKey(msg, error.live_id) from error
            except PerdureError as error:
                error.add_note(f"{back:,} of {len(letters):,} are back; `replay_all` goes on with the rest.")
                raise
        return back

    def purge(
        self,
        older_than: dt.timedelta | dt.datetime | float | None = None,
        *,
        type: str | type | None = None,  # noqa: A002 - the front door's name
        reason: str | None = None,
    ) -> int:
        """Remove all for good, or those that died before a moment (datetime) or more than a time ago (timedelta, seconds).

        In commits of 10,000 at most, newest first: where one of them fails, what those before it removed is gone.

        Args:
            older_than: see above.
            type: only these.
            reason: only these, as for `list`.

        Returns:
            how many this call removed; what somebody else replayed or purged in the meantime is not among them.

        Raises:
            ValueError: an age that is none, or below 0; a naive datetime; a reason that is no text.
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
            before_us = self._system.clock.now_us() - round(age_s * 1_000_000)
        letters = self._select(Selection(type=self._type_name(type), reason=_text(reason), before_us=before_us))
        purged = 0
        for first in range(0, len(letters), PURGED_TOGETHER):
            deaths = [death(letter.event) for letter in letters[first : first + PURGED_TOGETHER]]
            purged += self._system.ask("queue", Purge(deaths, "purged by an operator"))
        return purged

    def stats(self) -> DeadLetterStats:
        """Count them by type and by reason, with the oldest and the newest."""
        stats: Stats = self._system.ask("dead_letters", None)
        oldest = None if stats.oldest_us is None else moment(stats.oldest_us)
        newest = None if stats.newest_us is None else moment(stats.newest_us)
        return DeadLetterStats(stats.total, stats.by_type, stats.by_reason, oldest, newest)

    def _select(self, selection: Selection) -> Sequence[Letter]:
        found: Sequence[Letter] = self._system.ask("dead_letters", selection)
        return found

    def _one(self, ident: str) -> Letter:
        found = self._select(Selection(id=checked_id("id", ident)))
        if not found:
            msg = f"message {ident!r} is not among the dead letters; `dead_letters.list()` shows those that are."
            raise UnknownMessage(msg)
        return found[0]

    def _type_name(self, kind: str | type | None) -> str | None:
        return None if kind is None else self._system.drafts.names.of(kind)

    def _entry(self, letter: Letter) -> DeadLetter[Any]:
        fact = letter.event
        published = fact.published
        try:
            message = self._system.drafts.load(published)
        except InvalidMessage:
            message = published.payload
        return DeadLetter(
            id=published.id,
            type=published.type,
            message=message,
            key=published.key,
            reason=with_public_names(full_reason(fact)),
            exception=with_public_names(fact.exception),
            error=fact.message,
            traceback=fact.traceback,
            attempts=fact.attempts,
            failed_at=moment(letter.failed_us),
            failures=tuple(Failure(moment(f.at_us), f.attempt, with_public_names(f.exception), f.message) for f in fact.failures),
            correlation_id=published.correlation_id or published.id,
            causation_id=published.causation_id,
            headers=dict(published.headers or {}),
        )


def _portions(items: Iterable[ReplayItem]) -> Iterator[list[ReplayItem]]:
    """Give what is brought back together."""
    portion: list[ReplayItem] = []
    size = 0
    for item in items:
        more = measure([Replayed(item.death.number, item.published, item.attempts, item.failures)]).bytes
        if portion and (len(portion) >= TOGETHER or size + more > TOGETHER_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += more
    if portion:
        yield portion


def _text(reason: str | None) -> str | None:
    if reason is not None and not isinstance(reason, str):
        msg = f"reason: a text to look for, not {reason!r}"
        raise InvalidMessage(msg)
    return reason
