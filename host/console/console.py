"""`Console`: what all pages share: the log, now and at past moments, the rights of principals, and the system that acts.

Not here: pages (`pages`), requests (`app`).
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.asked import KEPT_S, Asked
from perdure.console.counting import Counts
from perdure.console.log.live import Live
from perdure.console.log.past import WAIT_S, Past
from perdure.console.log.walk import walk
from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown
from perdure.operations.audit import reader_of
from perdure.processes.client import Client
from perdure.security import Rights, viewer
from perdure.store import FolderReader, is_postgres, open_reader, partition_owners
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from perdure.actors.sessions.figures import RunFigures
    from perdure.cluster.cluster import Cluster
    from perdure.console.log.groups import Groups
    from perdure.console.log.index import Index
    from perdure.events.codec.snapshot import States
    from perdure.security import Authorize
    from perdure.store import LogReader, PartitionOwner

__all__ = ["Console", "View"]

AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
DIGITS_MAX = 40
"""The most digits of a sequence number. A number beyond the end of the log stands for its end."""
AGE_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
SEEK_EVENTS = 200_000
"""The most events that are read to find a moment exactly."""


@attrs.define(eq=False)
class View:
    """What a page shows: the states at one moment. Valid within the `with` block that yields it."""

    reader: LogReader
    states: States
    groups: Groups
    index: Index
    live: Live
    is_past: bool

    @property
    def seq(self) -> int:
        """The sequence number of the last event that is folded into the states."""
        return self.states.seq

    @property
    def at_us(self) -> int:
        """The time of that event, in microseconds since the epoch."""
        return self.states.at_us

    @property
    def history_progress(self) -> str:
        """A sentence on how much of the history has been read so far."""
        known = self.live.history_known()
        return "all history is read" if known >= 1.0 else f"{known:.0%} of the history is read so far; look again in a moment"


class Console:
    """One console of one log. Safe in any thread.

    Args:
        reader: the log.
        front: the system or client that performs acts; None where nothing runs and the log can only be read.
        current_front: returns the system or client of the moment, where that changes; instead of `front`.
        rights: the rights of principals; unless given, every principal may only look.
        open_payloads: types whose payloads are not hidden; True for all.
        title: the name that pages show; unless given, that of the log.
    """

    def __init__(
        self,
        reader: LogReader,
        front: System | Client | None,
        *,
        current_front: Callable[[], System | Client | None] | None = None,
        rights: Rights | None = None,
        open_payloads: Collection[str] | bool = (),
        title: str = "",
    ) -> None:
        self.reader = reader
        if isinstance(reader, FolderReader):
            reader.remember_places()
        self._current_front = current_front or (lambda: front)
        self.counts = Counts()
        self.rights = rights or Rights(viewer)
        self._open_payloads = open_payloads
        self.title = title or _name_of(reader.address)
        self.number: int | None = None
        """The number of the partition, where one application shows several (`partitions_shown`)."""
        self.partitions_shown: tuple[int, ...] = ()
        self.partitions: Asked[list[PartitionOwner]] = Asked(self._partitions, "the owners of the partitions")
        self.live = Live(reader, is_alone=not isinstance(front, System), newest=self._newest)
        self.past = Past(reader, rests=isinstance(front, System))
        self.figures: Asked[RunFigures | None] = Asked(
            lambda: None if (now := self.front) is None else now.run_figures(),
            "the run's figures",
            kept_s=0.0 if isinstance(front, System) else KEPT_S,
        )

    @classmethod
    def of(cls, system: Any, *, authorize: Authorize | None = None, open_payloads: Collection[str] | bool = ()) -> Console:
        """Return the console of a system or a client.

        Raises:
            TypeError: it is neither.
        """
        if not isinstance(system, System | Client):
            msg = f"system: a perdure.System or a perdure.Client, not {type(system).__name__}"
            raise TypeError(msg)
        known = reader_of(system.audit)
        reader = known if known.address is None else open_reader(known.address)
        own = system.rights if isinstance(system, System) and system.rights.are_limited else Rights(viewer)
        return cls(reader, system, rights=own if authorize is None else Rights(authorize), open_payloads=open_payloads)

    @classmethod
    def of_cluster(
        cls, cluster: Cluster, *, authorize: Authorize | None = None, open_payloads: Collection[str] | bool = ()
    ) -> dict[int, Console]:
        """Return the consoles of a cluster's partitions, by their numbers. The owner of each performs its acts."""
        own = cluster.rights if cluster.rights.are_limited else Rights(viewer)
        rights = own if authorize is None else Rights(authorize)

        def made(number: int) -> Console:
            return cls(
                open_reader(cluster.address_of(number)),
                None,
                current_front=lambda: cluster.partition(number) if cluster.running else None,
                rights=rights,
                open_payloads=open_payloads,
            )

        return {number: made(number) for number in range(cluster.count)}

    @property
    def front(self) -> System | Client | None:
        """The system or client that performs acts now; None where nothing runs and the log can only be read."""
        return self._current_front()

    @property
    def system(self) -> System | None:
        """The system, if it runs in this process; otherwise None."""
        front = self.front
        return front if isinstance(front, System) and front.running else None

    @property
    def folder(self) -> Path | None:
        """The folder of the log; None where the log is in memory or in a database."""
        address = self.reader.address
        return None if address is None or is_postgres(address) else Path(address)

    @property
    def refresh_ms(self) -> int:
        """The least time between two reloads of an open page, in milliseconds."""
        return 2_000 if self.system is None else 5_000

    def behind(self) -> int:
        """Return how many events the newest states are behind the log; 0 where that is not known."""
        return max(0, self._written() - self.live.states.seq)

    def _written(self) -> int:
        """Return the last event that the owner in this process has written; 0 where it is in another one."""
        front = self.front
        return getattr(reader_of(front.audit), "last_seq", 0) if isinstance(front, System) else 0

    def _newest(self) -> int:
        """Return the last event; 0 where that is not known. Unless the owner is here, this reads the log without a fold."""
        if isinstance(self.front, System) or not isinstance(self.reader, FolderReader):
            return self._written()
        seqs = self.reader.snapshot_seqs()
        last = 0
        for frame in self.reader.frames(max(seqs, default=0)):
            last = frame.last_seq
        return last

    def _partitions(self) -> list[PartitionOwner]:
        address = self.reader.address
        return [] if address is None else partition_owners(address)

    def disk(self) -> tuple[int, int] | None:
        """Return (bytes used, bytes free) of the disk with the folder; None where that is not known."""
        try:
            usage = None if self.folder is None else shutil.disk_usage(self.folder)
        except OSError:
            return None
        return None if usage is None else (usage.used, usage.free)

    def is_open(self, type_name: str) -> bool:
        """Return whether payloads of a type are shown without being revealed."""
        return self._open_payloads if isinstance(self._open_payloads, bool) else type_name in self._open_payloads

    @contextmanager
    def view(self, at: str = "", *, budget_s: float | None = None, wait_s: float = WAIT_S) -> Iterator[View]:
        """Yield a view of the log for this block: of now, or of the moment that a text names.

        Args:
            at: the moment: a sequence number, an age or a time; empty or `now` for the newest states.
            budget_s: how many seconds a view of now follows the log first; see `Live.looked_at`.
            wait_s: how many seconds to wait for a past moment that is not folded yet.

        Raises:
            InvalidMessage: the text names no moment.
            StillReading: the log is still being read for it.
            HistoryDropped: the log no longer holds that moment.
            StoreCorrupt, StoreUnavailable: the log cannot be read.
        """
        live = self.live
        if not at or at == "now":
            with live.looked_at(budget_s) as states:
                yield View(self.reader, states, live.groups, live.index, live, is_past=False)
            return
        with live.looked_at(0.0):
            seq = self._seq_of(at)
        with self.past.lock:
            fold = self.past.at(seq, wait_s)
            with live.looked_at(0.0):
                yield View(self.reader, fold.states, fold.groups, live.index, live, is_past=True)

    def _seq_of(self, text: str) -> int:
        """Return the last event at or before a moment: a number, an age, or a time (in UTC unless it has an offset)."""
        newest = self.live.states.seq
        plain = text.strip().replace(",", "").replace("_", "")
        if plain.isdecimal() and len(plain) <= DIGITS_MAX:
            return max(min(int(plain), newest), self.reader.first_seq - 1)
        try:
            if age := AGE.fullmatch(plain):
                at_us = round((time.time() - float(age[1]) * AGE_S[age[2]]) * 1e6)
            else:
                named = dt.datetime.fromisoformat(text.strip())
                at_us = round((named if named.tzinfo else named.replace(tzinfo=dt.UTC)).timestamp() * 1e6)
        except (ValueError, OverflowError) as error:
            msg = f"{shown(text)} names no moment: write a sequence number, an age (15m, 2h, 3d) or a time (2026-11-24 10:30, UTC)"
            raise InvalidMessage(msg) from error
        if at_us >= self.live.states.at_us:
            return newest
        self._check_known(at_us)
        after, until = self.live.index.before(at_us)
        found = after
        for step in walk(self.reader, after, min(until, after + SEEK_EVENTS)):
            if step.at_us > at_us:
                break
            found = step.seq
        return min(max(found, self.reader.first_seq - 1), newest)

    def _check_known(self, at_us: int) -> None:
        """Raise `StillReading` unless the pass over all history has reached a moment."""
        live = self.live
        span = live.index.span_us()
        if live.index.seq < live.states.seq and (span is None or at_us > span[1]):
            raise live.more_awaited()

    def close(self) -> None:
        """End the threads that read the log."""
        self.past.close()
        self.live.close()


def _name_of(address: str | None) -> str:
    if address is None:
        return "memory"
    if is_postgres(address):
        queue = address.rpartition("#")[2].partition("/")[0]  # pages show the whole address elsewhere
        return f"{queue} in PostgreSQL"
    return Path(address).name or address
