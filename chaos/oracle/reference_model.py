"""The reference model: an independent, plain account of where each message is, derived from the recorded events alone.

It shares nothing with the queue's state, ready queues or rules. An event that does not fit is a broken contract. What must hold at
the end of a history is in `history_checks`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BrokenContract", "Item", "ReferenceModel", "require"]

WAITING, DELAYED, LEASED, DEAD, ENDED = "waiting", "delayed", "leased", "dead", "ended"
FAILURES_MAX = 32
SPOOLED = "refused when it was taken in from the spool: "
"""How the reason begins of what was spooled and cannot be accepted."""


class BrokenContract(AssertionError):
    """A history in which perdure broke its contract."""


@attrs.define(eq=False)
class Item:
    """One message, and where it is."""

    published: ev.Published
    rank: int
    place: str = WAITING
    due_us: int = 0
    attempts: int = 0
    """The number of its last attempt, which no other one has."""
    uncounted: int = 0
    """How many of them do not count: they were given back, or came before a replay that counts from zero."""
    lease: ev.Leased | None = None
    until_us: int = 0
    crashed: bool = False
    failures: list[int] = attrs.field(factory=list)
    letter: ev.DeadLettered | None = None
    fate: str = ""
    """How it ended; empty while it is live."""

    @property
    def number(self) -> int:
        """Its number in events."""
        return self.published.number

    @property
    def is_live(self) -> bool:
        """Whether it is neither ended nor a dead letter."""
        return self.place in (WAITING, DELAYED, LEASED)

    @property
    def key(self) -> tuple[str, str] | None:
        """(type, key) for deduplication; None if it has no key or appends."""
        published = self.published
        return None if published.key is None or published.dedup == "append" else (published.type, published.key)


def require(condition: object, message: str | Callable[[], str]) -> None:
    """Raise `BrokenContract` unless a condition is true. Pass `message` as a function where it costs more than the condition."""
    if not condition:
        raise BrokenContract(message if isinstance(message, str) else message())


class ReferenceModel:
    """Takes events in the order of the log. Raises `BrokenContract` at the first that does not fit."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.live: dict[int, Item] = {}
        self.ids: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.held_keys: dict[tuple[str, str], int] = {}
        self.at_us = 0
        self.leased_again: Callable[[str, int], bool] = lambda _ident, _attempt: False
        """Whether a lease (id, attempt) was written more than once: its first frame was lost while the attempt ran on."""

    def take(self, at_us: int, event: ev.Event) -> None:
        """Follow one event.

        Raises:
            BrokenContract: the event does not fit.
        """
        self.at_us = at_us
        transition = self.TRANSITIONS.get(type(event))
        if transition is not None:
            transition(self, event)

    def peers(self, item: Item) -> Iterator[Item]:
        """Yield the other live messages of its key or group."""
        key, group = item.key, item.published.group
        for other in self.live.values():
            if other is not item and ((key is not None and other.key == key) or (group and other.published.group == group)):
                yield other

    # --- one transition for each kind of event ---------------------------------------------------------------------------

    def _item(self, event: Any, *places: str) -> Item:
        item = self.items.get(event.number)
        if item is None:
            msg = f"{event} of a message that was never published"
            raise BrokenContract(msg)
        require(item.place in places, lambda: f"{event} of a message that is {item.place}")
        return item

    def _lease_of(self, event: Any) -> Item:
        item = self._item(event, LEASED)
        require(item.lease is not None and item.lease.attempt == event.attempt, lambda: f"{event} without the lease")
        return item

    def _published(self, event: ev.Published) -> None:
        self.counts["published"] += 1
        require(event.number not in self.items, f"the number of {event.id} is taken")
        require(event.id not in self.ids, f"message {event.id} is published twice")
        item = Item(event, event.number)
        self.ids[event.id] = event.number
        if item.key is not None:
            require(
                self.held_keys.get(item.key, 0) <= self.at_us, f"{event.id} was accepted in the deduplication window of its key"
            )
        older = [other for other in self.live.values() if item.key is not None and other.key == item.key]
        require(not (older and event.dedup == "reject"), f"{event.id} was accepted beside a live message of its key")
        for other in older:
            if other.place != LEASED and other.published.priority == event.priority:
                item.rank = other.rank
        self._enter(item, event.due_us)

    def _enter(self, item: Item, due_us: int) -> None:
        item.due_us, item.place = due_us, DELAYED if due_us else WAITING
        self.items[item.number] = self.live[item.number] = item

    def _leased(self, event: ev.Leased) -> None:
        item = self._item(event, WAITING)
        published = item.published
        require(event.attempt > item.attempts, lambda: f"{event} repeats an earlier attempt")
        require(event.uncounted == item.uncounted, lambda: f"{event} though {item.uncounted} attempts do not count")
        for other in self.peers(item):
            require(other.place != LEASED, f"{published.id} was delivered beside {other.published.id}, of its key or group")
            if published.group and other.published.group == published.group:
                require(other.number > item.number, f"{published.id} overtook {other.published.id} in its group")
        if not self.leased_again(published.id, event.attempt):
            self._check_time_and_order(item)
        item.place, item.lease, item.until_us = LEASED, event, event.until_us

    def _check_time_and_order(self, item: Item) -> None:
        published = item.published
        require(
            not published.expires_us or self.at_us < published.expires_us, f"{published.id} was delivered after its time to live"
        )
        if item.crashed:
            return  # a message that may have killed its process runs alone, before all others
        mine = (-published.priority, item.rank)
        for other in self.live.values():
            theirs = other.published
            if other.place != WAITING or theirs.type != published.type or (-theirs.priority, other.rank) >= mine or other.crashed:
                continue
            limited = theirs.extras is not None and theirs.extras.key_parallelism
            blocked = any(
                p.place == LEASED or (p.number < other.number and theirs.group == p.published.group) for p in self.peers(other)
            )
            require(limited or blocked, f"{published.id} was delivered before {theirs.id}, whose turn it was")

    def _extended(self, event: ev.LeaseExtended | ev.Progressed) -> None:
        self._lease_of(event).until_us = event.until_us

    def _completed(self, event: ev.Completed) -> None:
        self.counts["completed"] += 1
        item = self._lease_of(event)
        item.attempts = event.attempt
        self._end(item, "completed")

    def _end(self, item: Item, fate: str, place: str = ENDED) -> None:
        item.place, item.lease, item.fate = place, None, fate
        del self.live[item.number]

    def _failed(self, event: ev.AttemptFailed) -> None:
        self.counts["failed"] += 1
        self.counts["retried"] += bool(event.due_us)
        item = self._lease_of(event)
        require(not event.due_us or event.due_us >= self.at_us, lambda: f"{event} is due again before it failed")
        self._end_attempt(item, event.attempt, retried=bool(event.due_us))
        item.due_us = event.due_us
        item.place = DELAYED if event.due_us else WAITING

    def _expired_lease(self, event: ev.LeaseExpired) -> None:
        self.counts["lease_expired"] += 1
        item = self._lease_of(event)
        item.crashed = item.crashed or event.crashed
        self._end_attempt(item, event.attempt, retried=False)
        item.place = WAITING

    def _end_attempt(self, item: Item, attempt: int, *, retried: bool) -> None:
        retries = item.lease.retries if item.lease is not None else 0
        require(
            not (retried and 0 <= retries < attempt),
            f"{item.published.id} is retried after attempt {attempt} of {retries + 1}",
        )
        item.attempts, item.lease = attempt, None
        item.failures = [*item.failures, attempt][-FAILURES_MAX:]

    def _returned(self, event: ev.Returned) -> None:
        item = self._lease_of(event)
        item.place, item.lease, item.crashed = WAITING, None, item.crashed or event.free_worker_only
        require(event.spent, lambda: f"{event} leaves its number to another attempt")
        item.attempts, item.uncounted = event.attempt, item.uncounted + 1

    def _awakened(self, event: ev.Awakened) -> None:
        item = self._item(event, DELAYED)
        require(self.at_us >= item.due_us, f"{item.published.id} was woken {item.due_us - self.at_us} us before it was due")
        item.place, item.due_us = WAITING, 0

    def _dead_lettered(self, event: ev.DeadLettered) -> None:
        self.counts["dead_lettered"] += 1
        item = self._item(event, WAITING)
        counted, of_event = (item.uncounted, item.attempts), (event.uncounted, event.attempts + event.uncounted)
        require(of_event == counted, f"dead letter {item.published.id} has attempts {counted}, not {of_event}")
        failures = [note.attempt for note in event.failures]
        if event.reason.startswith(SPOOLED):
            self._check_refusal(item, event)
            item.failures = [0]
        require(failures == item.failures, f"dead letter {item.published.id} lists failures {failures}, not {item.failures}")
        item.letter = event
        self._end(item, "dead", DEAD)

    def _check_refusal(self, item: Item, event: ev.DeadLettered) -> None:
        """What was spooled is refused when it is taken in only if an ordinary publish would be: its key is held, or busy."""
        published = event.published
        require(event.exception == "perdure.DuplicateKey", lambda: f"{event} though its id is not in doubt")
        require(not item.attempts and item.published.key is None, lambda: f"{event} of a message that was accepted")
        key = (published.type, published.key or "")
        is_busy = any(other.key == key for other in self.live.values() if other is not item)
        require(is_busy or self.held_keys.get(key, 0) > self.at_us, lambda: f"{event} though its key was free")

    def _replayed(self, event: ev.Replayed) -> None:
        self.counts["replayed"] += 1
        item = self._item(event, DEAD)
        last, failures = event.attempts + event.uncounted, [n.attempt for n in event.failures]
        again = Item(event.published, event.number, attempts=last, uncounted=event.uncounted, failures=failures)
        require(last == item.attempts, f"{event.published.id} is replayed after attempt {last}, and had {item.attempts}")
        counts = event.uncounted in (item.uncounted, item.attempts)
        require(counts, f"{event.published.id} is replayed with {event.attempts} attempts")
        busy = [other for other in self.live.values() if again.key is not None and other.key == again.key]
        require(not busy, f"{event.published.id} was replayed beside a live message of its key")
        self._enter(again, 0)

    def _purged(self, event: ev.Purged) -> None:
        self.counts["purged"] += 1
        item = self._item(event, DEAD)
        item.place, item.fate = ENDED, "purged"

    def _superseded(self, event: ev.Superseded) -> None:
        self.counts["superseded"] += 1
        item, newer = self._item(event, WAITING, DELAYED), self.items.get(event.by)
        require(newer is not None and newer.key == item.key, f"{event} by a message of another key")
        require(newer is not None and newer.number != item.number, f"{event} by itself")
        self._end(item, "superseded")

    def _expired(self, event: ev.Expired) -> None:
        self.counts["expired"] += 1
        item = self._item(event, WAITING, DELAYED)
        require(0 < item.published.expires_us <= self.at_us, f"{item.published.id} expired before its time to live ended")
        self._end(item, "expired")

    def _cancelled(self, event: ev.Cancelled) -> None:
        self.counts["cancelled"] += 1
        self._end(self._item(event, WAITING, DELAYED, LEASED), "cancelled")

    def _late(self, event: ev.LateResultRefused) -> None:
        self.counts["late_results"] += 1
        item = self.items.get(event.number)
        in_force = (
            item is not None and item.lease is not None and (item.published.id, item.lease.attempt) == (event.id, event.attempt)
        )
        # The number of a lease that was lost with its frame is given out once more. What came of the lost one is refused.
        require(
            not in_force or self.leased_again(event.id, event.attempt),
            f"{event} though the lease was in force",
        )

    def _key_held(self, event: ev.KeyHeld) -> None:
        self.held_keys[event.type, event.key] = event.until_us

    def _key_freed(self, event: ev.KeyFreed) -> None:
        self.held_keys.pop((event.type, event.key), None)

    TRANSITIONS: ClassVar[dict[type[ev.Event], Callable[[ReferenceModel, Any], None]]] = {
        ev.Published: _published,
        ev.Leased: _leased,
        ev.LeaseExtended: _extended,
        ev.Progressed: _extended,
        ev.Completed: _completed,
        ev.AttemptFailed: _failed,
        ev.LeaseExpired: _expired_lease,
        ev.Returned: _returned,
        ev.Awakened: _awakened,
        ev.DeadLettered: _dead_lettered,
        ev.Replayed: _replayed,
        ev.Purged: _purged,
        ev.Superseded: _superseded,
        ev.Expired: _expired,
        ev.Cancelled: _cancelled,
        ev.LateResultRefused: _late,
        ev.KeyHeld: _key_held,
        ev.KeyFreed: _key_freed,
    }
