"""Ids of messages that ended long ago: `PastIds`, in a few bytes each, so that a repeated publish is recognised.

Ids that perdure made count up in each run of a system, and are kept as stretches of that count. Of an id that a host chose, 16
bytes of a hash are kept; two ids with the same hash are not to be expected. When ids come here is in `queue/folding/retention`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.structures.id_index import PREFIX_CHARS, RUN_PART, IdRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PastIds"]

GENERATIONS = 8
"""Ids are forgotten by generations: the oldest eighth at a time."""
RUNS_MAX = 65_536
"""How many runs of a system are known by their ids; ids of older runs are treated as unknown."""
DIGEST = 16
EMPTY = bytes(DIGEST)
PAGES = 256
SLOTS_MIN = 16
ID_CHARS = 36
NEAR = 1 << 20
"""Counts of one run that are published one after the other are closer than this. Other makers of such ids draw random counts, which
lie far apart, and share no prefix."""


def made_ms(prefix: str) -> int:
    """Return when perdure made an id, in milliseconds since the epoch."""
    return int(prefix[:8] + prefix[9:13], 16)


class _Digests:
    """A set of hashes: pages of open addressing, each of which grows by itself, so that no call takes long."""

    __slots__ = ("counts", "pages")

    def __init__(self, pages: Iterable[bytes] = ()) -> None:
        self.pages = [bytearray(page) for page in pages] or [bytearray() for _ in range(PAGES)]
        if len(self.pages) != PAGES or any(len(page) % DIGEST for page in self.pages):
            msg = "malformed hashes of ids"
            raise ValueError(msg)
        self.counts = [sum(page[i : i + DIGEST] != EMPTY for i in range(0, len(page), DIGEST)) for page in self.pages]
        if any(2 * len(page) < 3 * n * DIGEST for page, n in zip(self.pages, self.counts, strict=True)):
            msg = "hashes of ids without room between them"
            raise ValueError(msg)

    def add(self, digest: bytes) -> None:
        """Add a hash, unless it is there."""
        k = digest[0]
        page = self.pages[k]
        if len(page) * 2 < (self.counts[k] + 1) * 3 * DIGEST:
            page = self._grow(k)
        at = _slot(page, digest)
        if page[at : at + DIGEST] == EMPTY:
            page[at : at + DIGEST] = digest
            self.counts[k] += 1

    def _grow(self, k: int) -> bytearray:
        old = self.pages[k]
        page = self.pages[k] = bytearray(max(SLOTS_MIN, len(old) // DIGEST * 3 // 2) * DIGEST)
        for i in range(0, len(old), DIGEST):
            digest = bytes(old[i : i + DIGEST])
            if digest != EMPTY:
                at = _slot(page, digest)
                page[at : at + DIGEST] = digest
        return page

    def __contains__(self, digest: bytes) -> bool:
        page = self.pages[digest[0]]
        if not page:
            return False
        at = _slot(page, digest)
        return page[at : at + DIGEST] == digest


def _slot(page: bytearray, digest: bytes) -> int:
    """Return the offset of a hash in a page, or of the slot where it would be put; a third of a page is always empty."""
    size = len(page)
    at = int.from_bytes(digest[8:], "little") % (size // DIGEST) * DIGEST
    while True:
        here = page[at : at + DIGEST]
        if here in (digest, EMPTY):
            return at
        at += DIGEST
        if at == size:
            at = 0


class _Stretches:
    """Counters of the ids of one run: stretches from `starts` up to, and without, `ends`, and when they were made."""

    __slots__ = ("ends", "since", "starts", "until")

    def __init__(self, columns: Sequence[Sequence[int]] = ((), (), (), ())) -> None:
        self.starts, self.ends, self.since, self.until = (array("Q", column) for column in columns)
        if not len(self.starts) == len(self.ends) == len(self.since) == len(self.until):
            msg = "stretches of ids of different lengths"
            raise ValueError(msg)

    def columns(self) -> list[list[int]]:
        """Return what it holds as plain values."""
        return [list(column) for column in (self.starts, self.ends, self.since, self.until)]

    def add(self, start: int, end: int, since: int, until: int) -> None:
        """Add a stretch, joined with those that it touches."""
        i = j = bisect_right(self.starts, start)
        if i and self.ends[i - 1] >= start:
            i -= 1
        while j < len(self.starts) and self.starts[j] <= end:
            j += 1
        if i < j:
            start, end = min(start, self.starts[i]), max(end, *self.ends[i:j])
            since, until = min(since, *self.since[i:j]), max(until, *self.until[i:j])
        for column, value in ((self.starts, start), (self.ends, end), (self.since, since), (self.until, until)):
            column[i:j] = array("Q", (value,))

    def touches(self, start: int, end: int) -> bool:
        """Return whether any count from `start` up to, and without, `end` is among them."""
        i = bisect_left(self.starts, end) - 1
        return i >= 0 and self.ends[i] > start

    def has(self, counter: int, ms: int) -> bool:
        """Return whether an id is among them."""
        i = bisect_right(self.starts, counter) - 1
        return i >= 0 and counter < self.ends[i] and self.since[i] <= ms <= self.until[i]


@attrs.define(eq=False)
class _Generation:
    """Ids of messages that ended one after the other."""

    count: int = 0
    runs: dict[str, _Stretches] = attrs.field(factory=dict)
    digests: _Digests | None = None


@attrs.define(eq=False)
class PastIds:
    """The last `kept_max` ids that were added, and up to a generation more; 0: none."""

    kept_max: int = 0
    count: int = 0
    own: dict[str, int] = attrs.field(factory=dict)
    """The runs of this system that are known by their ids, and the count up to which ids of each may be forgotten."""
    last: str = ""
    """The id that was published last."""
    forgotten_ms: int = 0
    """When perdure made the newest of its ids that is forgotten, in milliseconds since the epoch; 0: none is."""
    forgotten: int = 0
    """How many ids are forgotten."""
    _generations: deque[_Generation] = attrs.field(factory=deque)

    def note_id(self, ident: str) -> None:
        """Note an id that was published. Two in a row with near counts were made by one run of the system."""
        run = ident[RUN_PART]
        if run not in self.own and self.last[RUN_PART] == run and _are_near(ident, self.last):
            self.begin_run(run)
        self.last = ident

    def note_ids(self, ids: IdRun) -> None:
        """Note the ids of a run, as `note_id` does for each."""
        if ids.prefix[RUN_PART] not in self.own:
            self.begin_run(ids.prefix[RUN_PART])
        self.last = ids[ids.n - 1]

    def begin_run(self, run: str) -> None:
        """Recognise a run of the system from now on."""
        self.own[run] = 0
        while len(self.own) > RUNS_MAX:
            del self.own[next(iter(self.own))]

    def add(self, pieces: Iterable[Sequence[str]], count: int) -> None:
        """Add the ids of messages that were remembered together; the oldest generation makes room for them."""
        if not self.kept_max:
            self._note_forgotten(pieces, count)
            return
        if not self._generations or self._generations[-1].count >= max(1, self.kept_max // GENERATIONS):
            self._generations.append(_Generation())
        generation = self._generations[-1]
        for run, (stretches, since, until) in self._split(generation, pieces).items():
            known = generation.runs.setdefault(run, _Stretches())
            for start, end in stretches:
                known.add(start, end, since, until)
        generation.count += count
        self.count += count
        while self._generations and self.count - self._generations[0].count >= self.kept_max:
            self._drop(self._generations.popleft())

    def _split(
        self, generation: _Generation | None, pieces: Iterable[Sequence[str]]
    ) -> dict[str, tuple[list[tuple[int, int]], int, int]]:
        """Return the stretches of each run in the ids, with their times; ids of hosts go to the generation as hashes.

        The times of the stretches depend on which ids come together, not on their pieces.
        """
        own: dict[str, tuple[list[tuple[int, int]], int, int]] = {}

        def note(run: str, prefix: str, start: int, end: int) -> None:
            ms = made_ms(prefix)
            stretches, since, until = own.get(run) or ([], ms, ms)
            stretches.append((start, end))
            own[run] = (stretches, min(since, ms), max(until, ms))

        for ids in pieces:
            if isinstance(ids, IdRun) and (run := ids.prefix[RUN_PART]) in self.own:
                note(run, ids.prefix, ids.start, ids.start + ids.n)
                continue
            for ident in ids:
                counter = self._counter(ident)
                if counter >= 0:
                    note(ident[RUN_PART], ident, counter, counter + 1)
                elif generation is not None:
                    if generation.digests is None:
                        generation.digests = _Digests()
                    generation.digests.add(_digest(ident))
        return own

    def _counter(self, ident: str) -> int:
        """Return the count of an id that a known run of this system made; -1 for any other id."""
        return _count_of(ident) if ident[RUN_PART] in self.own else -1

    def _note_forgotten(self, pieces: Iterable[Sequence[str]], count: int) -> None:
        for run, (stretches, _, until) in self._split(None, pieces).items():
            self._forgot(run, max(end for _, end in stretches), until)
        self.forgotten += count

    def _forgot(self, run: str, end: int, until_ms: int) -> None:
        if run in self.own:
            self.own[run] = max(self.own[run], end)
        self.forgotten_ms = max(self.forgotten_ms, until_ms)

    def _drop(self, generation: _Generation) -> None:
        self.count -= generation.count
        self.forgotten += generation.count
        for run, stretches in generation.runs.items():
            self._forgot(run, max(stretches.ends), max(stretches.until))

    def __contains__(self, ident: str) -> bool:
        """Return whether an id is remembered."""
        if not self.count:
            return False
        counter = self._counter(ident)
        if counter >= 0:
            run, ms = ident[RUN_PART], made_ms(ident)
            return any(run in g.runs and g.runs[run].has(counter, ms) for g in self._generations)
        with_hashes = [g.digests for g in self._generations if g.digests is not None]
        if not with_hashes:
            return False
        digest = _digest(ident)
        return any(digest in digests for digests in with_hashes)

    def may_hold(self, ids: IdRun) -> bool:
        """Return False where none of the ids is remembered, or may have been; where True, ask for each."""
        run, end = ids.prefix[RUN_PART], ids.start + ids.n
        if run not in self.own:
            return any(generation.digests is not None for generation in self._generations)
        known = [generation.runs[run] for generation in self._generations if run in generation.runs]
        return ids.start < self.own[run] or any(stretches.touches(ids.start, end) for stretches in known)

    def may_have_been(self, ident: str) -> bool:
        """Return whether an unknown id was made by this system so long ago that it may be forgotten."""
        counter = self._counter(ident)
        return counter >= 0 and counter < self.own[ident[RUN_PART]]

    def dump(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "own": self.own,
            "last": self.last,
            "forgotten": [self.forgotten, self.forgotten_ms],
            "generations": [
                [
                    g.count,
                    {run: stretches.columns() for run, stretches in g.runs.items()},
                    [] if g.digests is None else [bytes(page) for page in g.digests.pages],
                ]
                for g in self._generations
            ],
        }

    def load(self, plain: dict[str, Any]) -> None:
        """Restore what `dump` returned."""
        self.own, self.last = dict(plain["own"]), plain["last"]
        self.forgotten, self.forgotten_ms = plain["forgotten"]
        for count, runs, pages in plain["generations"]:
            known = {run: _Stretches(columns) for run, columns in runs.items()}
            self._generations.append(_Generation(count, known, _Digests(pages) if pages else None))
            self.count += count


def _are_near(one: str, other: str) -> bool:
    a, b = _count_of(one), _count_of(other)
    return a >= 0 and b >= 0 and abs(a - b) < NEAR


def _count_of(ident: str) -> int:
    """Return the count in an id such as perdure makes; -1 for any other."""
    if len(ident) != ID_CHARS:
        return -1
    try:
        made_ms(ident)
        counter = int(ident[PREFIX_CHARS:], 16)
    except ValueError:
        return -1
    return counter if ident[PREFIX_CHARS:] == f"{counter:012x}" else -1


def _digest(ident: str) -> bytes:
    return blake2b(ident.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()
