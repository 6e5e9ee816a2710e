"""The values that every store takes and returns: frames, snapshots, what opening found, how much a log takes up; and doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import PerdureError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["AppendInDoubt", "ChannelPart", "Frame", "LogSize", "PartitionOwner", "Recovered", "RowsGone", "Snapshot"]


class RowsGone(PerdureError):
    """Rows of the ingress that a frame was to take in were taken in before. Nothing was written."""


ChannelPart = tuple[int, int, bytes, str]
"""The connection's number, the part's number, its bytes, and the role by which its process connected (empty on the way out)."""


class AppendInDoubt(StoreUnavailable):
    """It is unknown whether the store has written the frame. No caller sees this: the journal finds out before it answers."""


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
    """The state after folding all events up to `seq`: its bytes, or a function that yields them in pieces."""

    seq: int
    _body: bytes | Callable[[], Iterator[bytes]]

    @property
    def body(self) -> bytes:
        """All bytes at once."""
        return self._body if isinstance(self._body, bytes) else b"".join(self._body())

    def chunks(self) -> Iterator[bytes]:
        """Return the bytes in pieces, from the beginning at each call.

        Raises:
            StoreUnavailable: they can no longer be read.
        """
        return iter((self._body,)) if isinstance(self._body, bytes) else self._body()


@attrs.frozen
class PartitionOwner:
    """A partition of a queue in a database, and which process owns it."""

    number: int
    owner: str
    """Host and process; empty: none."""
    epoch: int
    """How often it was taken over."""
    lag: int
    """Publishes of other processes that its owner has not taken in yet."""


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
    """Bytes of a torn or void tail that were cut off."""
    cut_from_seq: int | None = None


@attrs.frozen
class LogSize:
    """How much a log takes up."""

    bytes: int
    """All frames and snapshots, as they are kept."""
    segments: int
    """Parts that the log is kept in, such as segment files; 0 if there is no log."""
    snapshots: int
