"""A database of one partition, whose transactions run step by step: the locks and checks of `store/postgres/sql/functions.sql`.

A transaction is a generator that yields while it waits or another may run, and ends with its answer. It goes on when the process
that sent it is gone: its answer is lost then, and its commit late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["LOST", "OUT_OF_STEP", "OWNED", "ROWS_GONE", "Database", "Entry", "Refused", "Rules", "Transaction"]

LOST, OUT_OF_STEP, OWNED, ROWS_GONE = "PD001", "PD002", "PD003", "PD005"
LEASE_S = 10.0


@attrs.frozen
class Rules:
    """What the design relies on; each can be left out."""

    locks: bool = True
    """An append holds the partition's row FOR SHARE until its end."""
    checks_epoch: bool = True
    settles: bool = True
    """An owner whose append was not answered finds out what became of it before it goes on."""
    takes_in_append: bool = True
    """The rows that a frame takes in are removed by its own transaction."""
    counts_from_question: bool = True
    """An owner counts its lease from before it asked for it, not from the answer."""


@attrs.frozen
class Entry:
    """A frame: what it holds, which frame it follows according to its owner, and the rows that it takes in."""

    ident: str
    first_seq: int
    count: int
    follows: str
    epoch: int
    taken: tuple[int, ...] = ()

    @property
    def last_seq(self) -> int:
        """The number of its last event."""
        return self.first_seq + self.count - 1


class Refused(Exception):
    """The database has refused a transaction; nothing of it is there."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


@attrs.define(eq=False)
class Transaction:
    """One on its way, with its answer once it has one."""

    steps: Generator[None, None, Any]
    answer: Any = None
    error: str = ""
    is_over: bool = False


class Database:
    """The partition. Time is the database's own, in seconds."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.now_s = 0.0
        self.epoch = 0
        self.owner = ""
        self.until_s = 0.0
        self.frames: list[Entry] = []
        self.flushed = 0
        """How many frames outlast a crash."""
        self.rows: set[int] = set()
        self.running: list[Transaction] = []
        self._shares: set[object] = set()
        self._exclusive: object = None
        self._lease_lock: object = None
        self._inserting: dict[tuple[int, int], object] = {}

    def begin(self, make: Callable[[object], Generator[None, None, Any]]) -> Transaction:
        """Start a transaction."""
        me = object()
        transaction = Transaction(self._ended(me, make(me)))
        self.running.append(transaction)
        return transaction

    def step(self, transaction: Transaction) -> None:
        """Let a transaction do one step."""
        try:
            next(transaction.steps)
        except StopIteration as end:
            transaction.answer, transaction.is_over = end.value, True
        except Refused as refused:
            transaction.error, transaction.is_over = refused.state, True
        if transaction.is_over:
            self.running.remove(transaction)

    def crash(self) -> None:
        """Fail and start again: what runs is undone, and what was not flushed is gone."""
        for transaction in self.running:
            transaction.steps.close()
        self.running.clear()
        for entry in self.frames[self.flushed :]:
            self.rows |= {*entry.taken}
        del self.frames[self.flushed :]

    def _ended(self, me: object, steps: Generator[None, None, Any]) -> Generator[None, None, Any]:
        try:
            return (yield from steps)
        finally:  # also where it is undone: its locks go
            self._shares.discard(me)
            self._exclusive = None if self._exclusive is me else self._exclusive
            self._lease_lock = None if self._lease_lock is me else self._lease_lock
            for key in [key for key, by in self._inserting.items() if by is me]:
                del self._inserting[key]

    # --- the functions -----------------------------------------------------------------------------------------------------

    def append(self, me: object, entry: Entry, *, durable: bool) -> Generator[None, None, None]:
        """See `perdure.append_taking`."""
        rules = self.rules
        while rules.locks and self._exclusive is not None:
            yield
        if rules.locks:
            self._shares.add(me)
        if rules.checks_epoch and self.epoch != entry.epoch:
            raise Refused(LOST)
        yield
        if self._last_seq() != entry.first_seq - 1:
            raise Refused(OUT_OF_STEP)
        yield
        key = (entry.first_seq, entry.count)
        while key in self._inserting:
            yield
        if any((frame.first_seq, frame.count) == key for frame in self.frames):
            raise Refused(OUT_OF_STEP)
        self._inserting[key] = me
        yield
        if rules.takes_in_append and not self.rows.issuperset(entry.taken):
            raise Refused(ROWS_GONE)
        yield
        if rules.takes_in_append:
            self.rows -= {*entry.taken}
        self.frames.append(entry)
        if durable:
            self.flushed = len(self.frames)

    def claim(self, me: object, holder: str, *, again: bool) -> Generator[None, None, tuple[int, Entry | None]]:
        """See `perdure.claim`; what it returns was read after its commit."""
        while self._lease_lock is not None:
            yield
        self._lease_lock = me
        if again and self.owner != holder:
            raise Refused(LOST)
        if not again and self.owner not in ("", holder) and self.until_s > self.now_s:
            raise Refused(OWNED)
        yield
        while self._exclusive is not None or self._shares - {me}:
            yield
        self._exclusive = me
        yield
        self.owner, self.until_s = holder, self.now_s + LEASE_S
        self.epoch += 1
        self.flushed = len(self.frames)
        epoch = self.epoch
        self._exclusive = self._lease_lock = None
        yield
        return epoch, self.frames[-1] if self.frames else None

    def renew(self, me: object, holder: str) -> Generator[None, None, None]:
        """See `perdure.renew`."""
        while self._lease_lock is not None:
            yield
        self._lease_lock = me
        if self.owner != holder:
            raise Refused(LOST)
        yield
        self.until_s = self.now_s + LEASE_S

    def look(self, _me: object, ident: str) -> Generator[None, None, bool]:
        """Return whether a frame is there."""
        yield
        return any(frame.ident == ident for frame in self.frames)

    def remove(self, _me: object, rows: tuple[int, ...]) -> Generator[None, None, None]:
        """See `perdure.remove_from_ingress`."""
        yield
        self.rows -= {*rows}

    def _last_seq(self) -> int:
        return max((frame.last_seq for frame in self.frames), default=0)
