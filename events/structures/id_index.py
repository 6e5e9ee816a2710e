"""The number that a message id stands for: single entries for ids of any kind, runs for ids that perdure made in a row.

Not here: how ids are made (`perdure.publishing.message_ids`) and how long they are remembered (`queue/folding/retention`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["IdIndex", "IdRun"]

PREFIX_CHARS = 24
"""Of a UUID's 36 characters: all but the last group, which is the counter."""
RUN_PART = slice(14, 23)
"""The characters that all ids of one run of a system share."""


class IdRun(Sequence[str]):
    """Ids made at one moment that count up from `start`: each is `prefix` and twelve hexadecimal digits."""

    __slots__ = ("n", "prefix", "start")

    def __init__(self, prefix: str, start: int, n: int) -> None:
        self.prefix = prefix
        self.start = start
        self.n = n

    def __len__(self) -> int:
        """Return the number of ids."""
        return self.n

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> IdRun: ...

    def __getitem__(self, index: int | slice) -> str | IdRun:
        """Return one id, or a part of the run."""
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.n)
            return IdRun(self.prefix, self.start + start, max(0, stop - start))
        if not 0 <= index < self.n:
            raise IndexError(index)
        return f"{self.prefix}{self.start + index:012x}"

    def __iter__(self) -> Iterator[str]:
        """Return the ids in order."""
        return iter(self.strings())

    def strings(self) -> list[str]:
        """Return all ids as strings."""
        prefix = self.prefix
        return [f"{prefix}{i:012x}" for i in range(self.start, self.start + self.n)]

    def goes_on_with(self, other: Sequence[str]) -> bool:
        """Return whether `other` continues this run."""
        return type(other) is IdRun and other.prefix == self.prefix and other.start == self.start + self.n


class IdIndex:
    """Ids to numbers. A run takes as much room as one id, however long it is."""

    __slots__ = ("_runs", "_single")

    def __init__(self) -> None:
        self._single: dict[str, int] = {}
        self._runs: dict[str, tuple[list[int], list[tuple[IdRun, int]]]] = {}
        """By the characters that ids share: the counters at which runs start, in order; beside each, its run and first number."""

    def get(self, ident: str) -> int:
        """Return the number of an id; 0 where it is unknown."""
        number = self._single.get(ident, 0)
        return number or (self._in_runs(ident) if self._runs else 0)

    def __contains__(self, ident: str) -> bool:
        """Return whether an id is known."""
        return self.get(ident) != 0

    def _in_runs(self, ident: str) -> int:
        starts, runs = self._runs.get(ident[RUN_PART], ((), ()))
        if not starts or len(ident) != PREFIX_CHARS + 12:
            return 0
        try:
            counter = int(ident[PREFIX_CHARS:], 16)
        except ValueError:
            return 0
        i = bisect_right(starts, counter) - 1
        if i < 0:
            return 0
        run, number = runs[i]
        offset = counter - run.start
        return number + offset if offset < run.n and run[offset] == ident else 0

    def may_hold(self, ids: IdRun) -> bool:
        """Return False where none of the ids is known, by a look at the run as a whole; where True, ask for each."""
        starts, runs = self._runs.get(ids.prefix[RUN_PART], ((), ()))
        i = bisect_left(starts, ids.start + ids.n) - 1
        if i >= 0 and starts[i] + runs[i][0].n > ids.start:
            return True
        return bool(self._single) and not self._single.keys().isdisjoint(ids.strings())

    def put(self, ident: str, number: int) -> None:
        """Add one id."""
        self._single[ident] = number

    def put_all(self, ids: Sequence[str], first: int) -> None:
        """Add ids whose numbers count up from `first`."""
        if type(ids) is not IdRun:  # faster than isinstance, as Sequence is abstract
            self._single.update(zip(ids, range(first, first + len(ids)), strict=True))
            return
        starts, runs = self._runs.setdefault(ids.prefix[RUN_PART], ([], []))
        i = bisect_right(starts, ids.start)
        starts.insert(i, ids.start)
        runs.insert(i, (ids, first))

    def drop(self, ident: str, number: int) -> None:
        """Remove one id, unless it stands for another message by now."""
        if self._single.get(ident) == number:
            del self._single[ident]

    def drop_run(self, ids: IdRun, first: int) -> None:
        """Remove a run that was added whole or in pieces. Ids of it that were also added one by one stay."""
        part = ids.prefix[RUN_PART]
        starts, runs = self._runs.get(part, ([], []))
        i, end = bisect_left(starts, ids.start), bisect_left(starts, ids.start + ids.n)
        kept = [k for k in range(i, end) if runs[k][1] - first != starts[k] - ids.start]
        starts[i:end], runs[i:end] = [starts[k] for k in kept], [runs[k] for k in kept]
        if not starts:
            self._runs.pop(part, None)
