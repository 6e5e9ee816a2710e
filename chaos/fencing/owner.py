"""A process that wants to own the partition: it claims, appends, renews, and settles what was not answered.

As `store/postgres/partition_writer.py` does, in one generator: it yields a transaction that it waits for, or None to let others
run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.chaos.fencing.database import LEASE_S, LOST, Database, Entry, Refused, Rules

if TYPE_CHECKING:
    import random
    from collections.abc import Generator

    from perdure.chaos.fencing.database import Transaction

__all__ = ["Disconnected", "Owner", "Promises"]


IS_DURABLE, RENEWS, DIES = 0.7, 0.2, 0.05
"""How often an append is durable; after one, how often the owner renews its lease, and dies."""


class Disconnected(Exception):
    """No answer came; the transaction may go on."""


@attrs.define
class Promises:
    """The answers that all owners have given their callers."""

    published: set[str] = attrs.field(factory=set)
    refused: set[str] = attrs.field(factory=set)
    taken: list[int] = attrs.field(factory=list)
    """Rows of the frames that were acknowledged."""


class _Ended(Exception):
    """This ownership is over; the process may claim again."""


class Owner:
    """One process. Until `valid_until_s`, which it sets itself, in the common time, it hands messages out."""

    def __init__(self, name: str, database: Database, promises: Promises, rng: random.Random) -> None:
        self.name = name
        self.valid_until_s = 0.0
        self._database = database
        self._promises = promises
        self._rng = rng
        self._frames = 0
        self._epoch = 0
        self._last: Entry | None = None
        self._unsynced: list[Entry] = []
        self._holder = name
        self._claims = 0

    @property
    def _rules(self) -> Rules:
        return self._database.rules

    def life(self) -> Generator[Transaction | None, None, None]:
        """Own the partition again and again."""
        while True:
            self._claims += 1
            self._holder = f"{self.name} {self._claims}"
            try:
                yield from self._claim(again=False)
                while True:
                    yield from self._append()
                    if self._rng.random() < RENEWS:
                        yield from self._renew()
                    if self._rng.random() < DIES:
                        break  # the process dies
            except (_Ended, Disconnected, Refused):
                pass
            self.valid_until_s = 0.0
            self._unsynced = []
            for _ in range(self._rng.randrange(20)):
                yield None

    def _claim(self, *, again: bool) -> Generator[Transaction | None, None, None]:
        asked_s = self._database.now_s
        transaction = self._database.begin(lambda me: self._database.claim(me, self._holder, again=again))
        yield transaction
        self._epoch, self._last = transaction.answer
        self._valid_from(asked_s)

    def _renew(self) -> Generator[Transaction | None, None, None]:
        asked_s = self._database.now_s
        yield self._database.begin(lambda me: self._database.renew(me, self._holder))
        self._valid_from(asked_s)

    def _valid_from(self, asked_s: float) -> None:
        since_s = asked_s if self._rules.counts_from_question else self._database.now_s
        self.valid_until_s = since_s + LEASE_S

    def _append(self) -> Generator[Transaction | None, None, None]:
        durable = self._rng.random() < IS_DURABLE
        rows = tuple(sorted(self._database.rows)[: self._rng.randrange(3)])
        for _ in range(3):
            last = self._last
            self._frames += 1
            ident = f"{self._holder}/{self._frames}"
            first_seq = 1 if last is None else last.last_seq + 1
            entry = Entry(ident, first_seq, self._rng.randrange(1, 3), "" if last is None else last.ident, self._epoch, rows)
            try:
                yield self._database.begin(lambda me, entry=entry: self._database.append(me, entry, durable=durable))  # type: ignore[misc]  # of this turn
            except Refused:
                self._promises.refused.add(ident)
                raise
            except Disconnected:
                if not self._rules.settles:
                    self._promises.refused.add(ident)
                    continue
                if not (yield from self._settle(entry)):
                    continue
            self._last = entry
            self._unsynced.append(entry)
            if durable:
                self._promises.published |= {written.ident for written in self._unsynced}
                self._promises.taken += [row for written in self._unsynced for row in written.taken]
                self._unsynced = []
                if rows and not self._rules.takes_in_append:
                    yield self._database.begin(lambda me: self._database.remove(me, rows))
            return
        raise _Ended

    def _settle(self, entry: Entry) -> Generator[Transaction | None, None, bool]:
        """Return whether a frame is there whose append was not answered; no caller gets an answer before that is known."""
        before = self._last
        while True:
            try:
                yield from self._claim(again=True)
                break
            except Disconnected:
                continue
            except Refused as refused:
                if refused.state != LOST:
                    raise
                yield from self._last_word(entry)
        if self._last == entry:
            return True
        self._promises.refused.add(entry.ident)
        if self._last != before:
            raise _Ended  # the database has lost what was not flushed
        return False

    def _last_word(self, entry: Entry) -> Generator[Transaction | None, None, None]:
        """Answer by the log of another owner, which has taken over."""
        while True:
            looked = self._database.begin(lambda me: self._database.look(me, entry.ident))
            try:
                yield looked
            except Disconnected:
                continue
            break
        if looked.answer and entry.ident:
            self._promises.published.add(entry.ident)
        else:
            self._promises.refused.add(entry.ident)
        raise _Ended
