"""What a store of events is: an ordered log of frames with one owner, snapshots beside it, and readers that own nothing.

Every part of the library reads and writes a log through `LogReader`, `EventStore` and `LogTarget` alone. `files` and `memory`
implement them, and `tests/store/test_contract.py` holds each implementation to them. A store knows nothing of events: a frame's
body is bytes. What processes use that do not own the log is in `other_processes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from perdure.events.errors import OwnershipLost
    from perdure.events.structures.message_block import PayloadSpill
    from perdure.store.survey import Damage, Stretch, SurveyedSnapshot, WholeFrame
    from perdure.store.values import Frame, LogSize, Recovered, Snapshot

__all__ = ["EventStore", "LogReader", "LogTarget"]


class LogReader(Protocol):
    """A consistent prefix of a log, read without owning it and beside a live owner. All methods are safe in any thread."""

    @property
    def address(self) -> str | None:
        """The text from which `open_reader` makes a reader of this log; None for a log that only this process can read."""

    @property
    def first_seq(self) -> int:
        """The sequence number of the first event that is still in the log: 1, unless history was dropped or archived."""

    def check_readable(self) -> None:
        """Raise unless the log can be read at all.

        Raises:
            StoreUnavailable: there is nothing at the address, or it cannot be read.
        """

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """Yield the frames that hold events after `after` and not after `until`, in order. Reading begins near `after`.

        Raises:
            StoreCorrupt: a frame is damaged or missing; all frames before it have been yielded.
            HistoryDropped: the owner dropped what was still to be read.
            StoreUnavailable: the log cannot be read, or the owner took back frames that were already yielded.
        """

    def whole_frames(self, after: int = 0, *, synced: bool = True) -> Iterator[Stretch | WholeFrame]:
        """Yield where the reading begins, then the frames as they are kept, seals included, from that on which ends with `after`.

        For copies of the log. It ends where `frames` ends; once it has, what was yielded outlasts a power cut, unless `synced` is
        False: then nothing is synced, for a reader that keeps up with the log and copies nothing.

        Raises:
            As `frames`.
        """

    def hold_history(self) -> AbstractContextManager[None]:
        """Return a context that keeps all segments and snapshots while it is entered, for a copy of them.

        In any thread; several contexts may be entered at once. A reader that cannot make the owner keep them does nothing: it
        raises `HistoryDropped` where the owner has dropped what is still to be read.
        """

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """Yield the whole snapshots up to sequence number `at_most`, newest first; damaged ones are logged and skipped.

        Raises:
            StoreUnavailable: no snapshot can be read, and the log does not begin with event 1.
        """

    def snapshot_seqs(self) -> list[int]:
        """Return the sequence numbers of all snapshots, damaged ones included, oldest first."""

    def size(self) -> LogSize:
        """Return how much the log and its snapshots take up."""

    def survey(self) -> Iterator[Stretch | WholeFrame | Damage]:
        """Yield everything that is whole in the log and everything that is not, in order, reading on behind damage.

        A `Stretch` comes first. One that `restarts` means that the owner dropped what was yielded so far.

        Raises:
            StoreUnavailable: the log cannot be read, or its owner drops it faster than it can be read.
        """

    def survey_snapshot(self, seq: int) -> SurveyedSnapshot | None:
        """Return whether the snapshot at a sequence number is whole; None if its owner has removed it."""

    def store_id(self) -> bytes | None:
        """Return the id (16 bytes) that the log and its snapshots carry; None if none can be read."""

    def exposure(self) -> str | None:
        """Return how users other than its owner could change the log; None if they could not."""


class EventStore(LogReader, Protocol):
    """The owner's view of a log and its snapshots.

    Unless said otherwise, methods are for the owner's one writing thread. Those of `LogReader` are safe in any thread, also here.
    """

    last_seq: int
    """The sequence number of the last event written; 0 for none."""
    synced_seq: int
    """The sequence number up to which all events are known to outlast a power cut."""

    def open(self) -> Recovered:
        """Take ownership and recover the end of the log.

        Raises:
            StoreLocked: another process, or another store object, owns it.
            StoreCorrupt: committed history is damaged.
            StoreUnavailable: it cannot be read or written, or a newer version wrote it.
        """

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        """Take over from a writer of this very object that died at any instruction; the ownership is kept throughout.

        `void_after` is the last sequence number known synced when a sync failed. Events written after it must not come back, even
        if they can be read, except those that the store itself has synced since (when it began another segment).

        Raises:
            OwnershipLost: another owner has taken over the log meanwhile.
            StoreCorrupt, StoreUnavailable: as `open`; the call may be repeated.
        """

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
        """Write one frame of `count` events, the first of them number `expected_seq`; after a crash, all of it or nothing is there.

        `durable` says that `sync` follows at once. A store that can do both in one step does so, as `synced_seq` shows then.
        `taken` are rows of the store's ingress that the frame takes in: they are removed with it, or nothing is done. A store
        without an ingress refuses any.

        Raises:
            RowsGone: rows to be taken in are not there any more; the frame is not there, and the store goes on.
            AppendInDoubt: whether the frame is there is unknown; only `reopen` with `void_after` settles it.
            OwnershipLost: another owner has taken over the log; the frame will not be there, and this one writes nothing any more.
            StoreUnavailable: it could not be written; the frame will not be there.
            ValueError: it is larger than a frame may be (`frame.FRAME_BYTES_MAX`, `frame.COUNT_MAX`), or not what comes next.
        """

    def sync(self) -> None:
        """Make all appended frames outlast a power cut.

        Raises:
            OwnershipLost: as `append`.
            StoreUnavailable: what is on the disk is unknown; only `reopen` with `void_after` settles it.
        """

    def seal(self) -> None:
        """Mark that the last frame was written whole and synced, so that later rot in it cannot pass for a torn write."""

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot beside the older ones. In any thread.

        Raises:
            StoreUnavailable: it could not be written, or this is not the owner; the older ones are untouched.
        """

    def retire_history(self) -> int:
        """Drop or archive what no kept snapshot needs, if the store was configured so; return how many segments went.

        In any thread.

        Raises:
            StoreUnavailable, StoreCorrupt: not all of it could be done; what is left is as usable as before.
        """

    def watch_ownership(self, lost: Callable[[OwnershipLost], None]) -> None:
        """Call `lost`, in any thread, once another owner has taken over, so that nothing more is begun. Before or after `open`.

        Without it, the next `append`, `sync` or `seal` raises that. A store whose ownership cannot be lost never calls.
        """

    def spill(self) -> PayloadSpill | None:
        """Return a place for payloads that would take too much memory while they wait; None if there is only memory."""

    def separate_reader(self) -> LogReader:
        """Return a reader of the same log that shares no descriptor with this owner, for a forked child. Reads nothing yet."""

    def close(self) -> None:
        """Seal, sync and give up the ownership."""

    def abandon(self) -> None:
        """Release everything, the ownership included, without another write; `open` may follow."""


class LogTarget(Protocol):
    """An empty place that takes a copy of a log: the same sequence numbers, and frames with the same bytes. For one thread."""

    def check_empty(self) -> None:
        """Raise unless the place is free.

        Raises:
            StoreUnavailable: something is there already.
        """

    def begin(self, stretch: Stretch) -> None:
        """Create the log, so that its first frame continues `stretch`.

        Raises:
            StoreUnavailable: it cannot be written. So do the other methods.
        """

    def put(self, frame: WholeFrame) -> None:
        """Append a frame as it is."""

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """Add a snapshot."""

    def flush(self) -> None:
        """Write out all that was put, so that `finish` has little left to do. Nothing may be put after this."""

    def finish(self) -> Recovered:
        """Make the copy outlast a power cut, open it as an owner would, close it, and return what the opening found.

        Raises:
            StoreCorrupt: the copy cannot be opened.
        """
