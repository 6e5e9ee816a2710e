"""The `LogReader` of a backup: the log up to where the last complete run ended, whatever a later run has left behind it.

It finds damage as the reader of any folder does, and besides whether the log ends as `backup.json` says. Writing is in `folder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import StoreUnavailable
from perdure.store.backup.folder import state_in
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.listing.folder_marks import BACKUP_FILE
from perdure.store.survey import Damage, Stretch, WholeFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.store.backup.state import BackupState
    from perdure.store.values import Frame, Snapshot

__all__ = ["BackupReader"]


class BackupReader(FolderReader):
    """A `LogReader` of a backup. Safe in any thread."""

    def state(self) -> BackupState:
        """Return what the backup says of itself.

        Raises:
            StoreUnavailable: no run of it ever came to its end; or it cannot be read.
            StoreCorrupt: `backup.json` is damaged.
        """
        state = state_in(self.disk, self.path)
        if not state.is_complete:
            msg = f"the backup in {self.path} was cut off and never completed. Run it again: it goes on from where it was."
            raise StoreUnavailable(msg)
        return state

    def check_readable(self) -> None:
        """See `LogReader.check_readable`; a backup that was never completed is none."""
        super().check_readable()
        self.state()

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`."""
        last = self.state().completed_seq
        return super().frames(after, last if until is None else min(until, last))

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`."""
        last = self.state().completed_seq
        return super().snapshots(last if at_most is None else min(at_most, last))

    def whole_frames(self, after: int = 0, *, synced: bool = True) -> Iterator[Stretch | WholeFrame]:
        """See `LogReader.whole_frames`."""
        state = self.state()
        ended = False
        for item in super().whole_frames(after, synced=synced):
            if ended or (isinstance(item, WholeFrame) and item.frame.last_seq > state.completed_seq):
                return
            yield item
            ended = item.chain == state.completed_chain

    def survey(self) -> Iterator[Stretch | WholeFrame | Damage]:
        """See `LogReader.survey`. A log that does not end as the backup says is damage."""
        state = self.state()
        ends_so = False
        name = BACKUP_FILE
        for item in super().survey():
            if not isinstance(item, Damage):
                name, ends_so = item.file, ends_so or item.chain == state.completed_chain
            yield item
        if not ends_so:
            said = f"{state.completed_seq}:{state.completed_chain.hex()}"
            problem = f"{BACKUP_FILE} says that the log ends with {said}, and no whole frame does"
            yield Damage(name, 0, 0, state.completed_seq + 1, problem)
