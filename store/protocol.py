"""What a store of events is: an ordered log of frames with one owner, and snapshots beside it.

Three kinds fulfil it: segment files (`folder`), memory (`memory`), and whatever else keeps this contract; `tests/store` holds
them to it. A store knows nothing of events: a frame's body is bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perdure.store.files.payload_spill import PayloadSpill

__all__ = ["EventStore", "Frame", "Recovered", "Snapshot"]


@attrs.frozen
class Frame:
    """Events that were committed together; `body` is uncompressed."""

    first_seq: int
    count: int
    body: bytes

    @property
    def last_seq(self) -> int:
        """The sequence number of its last event."""
        return self.first_seq + self.count - 1


@attrs.frozen
class Snapshot:
    """The state after folding all events up to `seq`: its bytes, or how to get them piece by piece where they may be too many."""

    seq: int
    _body: bytes | Callable[[], Iterator[bytes]]

    @property
    def body(self) -> bytes:
        """All bytes at once."""
        return self._body if isinstance(self._body, bytes) else b"".join(self._body())

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes in pieces, anew with each call.

        Raises:
            StoreUnavailable: they cannot be read any more.
        """
        return iter((self._body,)) if isinstance(self._body, bytes) else self._body()


@attrs.frozen
class Recovered:
    """What opening the store found and did."""

    last_seq: int
    epoch: int
    segments: int
    created: bool = False
    clean: bool = True
    """The last owner closed the log in good order."""
    cut_bytes: int = 0
    """Bytes of a torn or voided tail that were cut off."""
    cut_from_seq: int | None = None


class EventStore(Protocol):
    """The log and its snapshots. Unless said otherwise, methods are for the owner's one writing thread."""

    last_seq: int
    """The sequence number of the last event written; 0 for none."""
    synced_seq: int
    """The sequence number up to which all is known to outlast a power cut."""

    @property
    def first_seq(self) -> int:
        """The sequence number of the first event that is still in the log: 1, unless history was dropped or archived."""

    def open(self) -> Recovered:
        """Take ownership and recover the end of the log.

        Raises:
            StoreLocked: another process, or another store object, owns it.
            StoreCorrupt: committed history is damaged.
            StoreUnavailable: it cannot be read or written, or a newer version wrote it.
        """

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        """Take over from a writer of this very object that died at any instruction; the ownership is kept throughout.

        `void_after`: the last sequence number known synced when a sync failed. What was written after it must not come back
        even if it can be read, except what the store itself has synced since (when it began another segment).

        Raises:
            StoreCorrupt, StoreUnavailable: as `open`; it may be tried again.
        """

    def append(self, body: bytes, count: int, *, expected_seq: int) -> None:
        """Write one frame of `count` events, the first of them number `expected_seq`; all of it or, after a crash, nothing.

        Raises:
            StoreUnavailable: it could not be written, or this is no longer the owner; the frame will not be there.
            ValueError: it is larger than a frame may be (`frame.FRAME_BYTES_MAX`, `frame.COUNT_MAX`), or not what comes next.
        """

    def sync(self) -> None:
        """Make all that was appended outlast a power cut.

        Raises:
            StoreUnavailable: nobody knows what is on the disk; only `reopen` with `void_after` settles it.
        """

    def seal(self) -> None:
        """Mark that the last frame was written whole and synced, so that later rot in it cannot pass for a torn write."""

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """Give the frames that hold events after `after` and not after `until`, in order. In any thread, beside the writer.

        Raises:
            StoreCorrupt: a frame is damaged or missing; all before it have been given.
        """

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot beside the older ones. In any thread.

        Raises:
            StoreUnavailable: it could not be written, or this is not the owner; the older ones are untouched.
        """

    def retire_history(self) -> int:
        """Drop or archive what no kept snapshot needs, if this store was told to; gives how many segments went. In any thread.

        Raises:
            StoreUnavailable, StoreCorrupt: not all of it could be done; what is left is as usable as before.
        """

    def hold_history(self) -> AbstractContextManager[None]:
        """Keep all segments and snapshots while it is entered: somebody copies them. In any thread, and by several at once."""

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """Give the whole snapshots up to number `at_most`, newest first; damaged ones are logged and passed over."""

    def spill(self) -> PayloadSpill | None:
        """Give a place for payloads that would take too much memory while they wait; None: they take none but memory."""

    def close(self) -> None:
        """Seal, sync and let go of the ownership."""

    def abandon(self) -> None:
        """Let go of everything, the ownership too, without another write; `open` may follow."""
