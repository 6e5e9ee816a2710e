"""The spool files of a folder as a `Source` of the relay: what processes published while nothing owned the folder.

A file is claimed when it is read, and removed when all of it is on record. What a record is, and how files are written, is in
`perdure.store.spool`; they are written in `perdure.processes.to_owner.spooling`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.moments import as_read
from perdure.actors.sessions.framing.objects import BadObject
from perdure.events.commands import Draft, Publish
from perdure.events.loggers import GuardedLogger
from perdure.store.spool.spool_file import claim, names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from perdure.actors.core.health import Health
    from perdure.events.errors import InvalidMessage
    from perdure.store.disk.disk import Disk
    from perdure.store.spool.spool_file import ClaimedSpool

__all__ = ["SpoolSource"]

logger = GuardedLogger("perdure")

ROWS_MAX = 500
"""Rows that are read at a time."""


class SpoolSource:
    """Implements `Source`. Its claims outlive each relay of a run; `close` gives them back.

    Args:
        folder: the data folder.
        disk: makes the file operations.
        under_policy: returns a draft with a key under its handler's policy.
        health: counts what was taken in.
        ahead_us: returns by how much the clock here is ahead of the wall clock, in terms of which moments are spooled.
    """

    name = "spool"
    every_s = 1.0
    is_spool = True
    in_append = False
    shared_as = ""

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        under_policy: Callable[[Draft], Draft],
        health: Health,
        ahead_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._under_policy = under_policy
        self._health = health
        self._ahead_us = ahead_us
        self._claimed: dict[str, ClaimedSpool] = {}
        self._rows: dict[int, tuple[str, Sequence[Draft]]] = {}
        """By row, the file that it is from, and its messages."""
        self._left: dict[str, int] = {}
        """By file, how many of its rows are not on record yet."""
        self._next_row = 1

    def read(self, after: int) -> list[tuple[int, Draft | Sequence[Draft] | InvalidMessage]]:
        """See `Source.read`.

        Raises:
            OSError: the folder cannot be read, or a file, and no other one has something to read.
        """
        unread: OSError | None = None
        if not any(row > after for row in self._rows):
            for name in names(self._disk, self._folder):
                if name not in self._claimed:
                    try:
                        self._claim(name)
                    except OSError as error:
                        unread = error
        if unread is not None and not any(row > after for row in self._rows):
            raise unread
        rows = sorted(row for row in self._rows if row > after)[:ROWS_MAX]
        return [(row, self._rows[row][1]) for row in rows]

    def _claim(self, name: str) -> None:
        claimed = claim(self._disk, self._folder / name)
        if claimed is None:
            return
        if claimed.contents.problem:
            logger.error(
                "the spool file %s is damaged at byte %d: %s. What is whole in it is taken in, and the file is kept as %s.damaged",
                claimed.path,
                claimed.contents.offset,
                claimed.contents.problem,
                claimed.path.name,
            )
        self._claimed[name] = claimed
        self._left[name] = 0
        for item in claimed.contents.items:
            drafts = self._drafts(name, item)
            if drafts:
                self._rows[self._next_row] = (name, drafts)
                self._next_row += 1
                self._left[name] += 1
        if not self._left[name]:
            self._remove(name)

    def _drafts(self, name: str, item: bytes) -> Sequence[Draft]:
        try:
            publish = as_read(OBJECTS.object(item), self._ahead_us)
            problem = "" if isinstance(publish, Publish) else f"a {type(publish).__name__}, and no publish"
        except BadObject as error:
            publish, problem = None, str(error)
        if isinstance(publish, Publish):
            return [self._under_policy(draft) for draft in publish.drafts]
        logger.error("the spool file %s holds what this version cannot read, and is kept: %s", name, problem)
        self._claimed[name] = self._claimed[name].with_problem(problem)
        return []

    def find_out(self) -> None:
        """See `Source.find_out`: only the owner of the folder reads it."""

    def delete(self, rows: list[int]) -> None:
        """See `Source.delete`.

        Raises:
            OSError: a file cannot be removed; the rows come again then, and their ids are known.
        """
        for row in rows:
            name, drafts = self._rows.pop(row, ("", ()))
            if not name:
                continue
            self._health.count("spooled_messages_taken_in", len(drafts))
            self._left[name] -= 1
            if not self._left[name]:
                self._remove(name)

    def taken_in(self, rows: list[int], _left: list[int], /) -> None:
        """See `Spool.taken_in`.

        Raises:
            OSError: as `delete`.
        """
        self.delete(rows)

    def _remove(self, name: str) -> None:
        self._claimed[name].remove()
        del self._claimed[name], self._left[name]

    def close(self) -> None:
        """Give back the claims: another owner may take the files in."""
        claimed, self._claimed = self._claimed, {}
        for spool in claimed.values():
            spool.file.close()
        self._rows.clear()
        self._left.clear()
