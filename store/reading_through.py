"""`ReadsThrough`: the part of an owner that reads its log as any reader does, in all stores that have such a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.store.protocol import LogReader
    from perdure.store.survey import Damage, Stretch, SurveyedSnapshot, WholeFrame
    from perdure.store.values import LogSize, Snapshot

__all__ = ["ReadsThrough"]

R = TypeVar("R", bound="LogReader")


class ReadsThrough(Generic[R]):
    """Answers by its reader what needs no ownership. An owner adds `frames`, which also checks what it knows to be synced."""

    reader: R

    @property
    def first_seq(self) -> int:
        """See `LogReader.first_seq`."""
        return self.reader.first_seq

    def check_readable(self) -> None:
        """See `LogReader.check_readable`."""
        self.reader.check_readable()

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`."""
        return self.reader.snapshots(at_most)

    def snapshot_seqs(self) -> list[int]:
        """See `LogReader.snapshot_seqs`."""
        return self.reader.snapshot_seqs()

    def size(self) -> LogSize:
        """See `LogReader.size`."""
        return self.reader.size()

    def whole_frames(self, after: int = 0, *, synced: bool = True) -> Iterator[Stretch | WholeFrame]:
        """See `LogReader.whole_frames`."""
        return self.reader.whole_frames(after, synced=synced)

    def survey(self) -> Iterator[Stretch | WholeFrame | Damage]:
        """See `LogReader.survey`. An owner of a folder reads the one that is open, whatever its name leads to by now."""
        return self.reader.survey()

    def survey_snapshot(self, seq: int) -> SurveyedSnapshot | None:
        """See `LogReader.survey_snapshot`."""
        return self.reader.survey_snapshot(seq)

    def store_id(self) -> bytes | None:
        """See `LogReader.store_id`."""
        return self.reader.store_id()

    def exposure(self) -> str | None:
        """See `LogReader.exposure`."""
        return self.reader.exposure()
