"""What a store may have for processes that do not own its log: a spool, an ingress, channels to the owner.

A store has any of them, or none. Not here: the log itself (`protocol`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from perdure.store.survey import SurveyedSpool
    from perdure.store.values import ChannelPart

__all__ = ["READ_BYTES", "Channel", "Channels", "HasChannels", "HasIngress", "HasSpool", "Ingress", "StandsBy", "TakesSpool"]

READ_BYTES = 4 << 20
"""Rows of an ingress that are read at a time have about this many bytes, or it is one row."""


@runtime_checkable
class HasSpool(Protocol):
    """A `LogReader` beside whose log processes spool what they publish while nothing owns it."""

    def survey_spool(self) -> list[SurveyedSpool]:
        """Return what is spooled, file by file; changes nothing.

        Raises:
            StoreUnavailable: it cannot be read.
        """

    def spool_files(self) -> Iterator[tuple[str, BinaryIO]]:
        """Yield the name of each file and the file, open at its beginning until the next one; one that is taken in has gone.

        Raises:
            StoreUnavailable: one cannot be read.
        """


@runtime_checkable
class StandsBy(Protocol):
    """A store whose `open` may wait for another owner to go. It asks `is_given_up` meanwhile, and then raises StoreLocked."""

    is_given_up: Callable[[], bool]


@runtime_checkable
class TakesSpool(Protocol):
    """A `LogTarget` beside whose log spooled publishes can wait for its next owner."""

    def put_spool(self, name: str, file: BinaryIO) -> int:
        """Add the publishes of a spool file, all of what is in `file`; return how many damaged records were left out.

        Raises:
            StoreUnavailable: it cannot be written.
        """


class Ingress(Protocol):
    """Publishes of processes that do not own the log, kept until its owner has taken them in. Safe in any thread."""

    def add(self, bodies: Sequence[bytes], wall_us: int | None = None) -> None:
        """Write rows, all or none; they outlast a power cut once this returns.

        `wall_us` is the wall clock of this machine now, in terms of which moments are in the rows; None: not to be compared.

        Raises:
            ConnectionError: the store cannot be reached; nothing was written.
            AppendInDoubt: no answer came; writing them again does no harm.
            StoreUnavailable: the store refuses them.
        """

    def read(self, after: int, most: int, *, most_bytes: int = READ_BYTES) -> list[tuple[int, bytes]]:
        """Return the oldest rows behind a row number, up to `most` of them.

        A row is no longer begun once there are `most_bytes`, so that no number of large publishes fills the memory.

        Raises:
            StoreUnavailable: they cannot be read.
        """

    def read_timed(self, after: int, most: int, wall_us: Callable[[], int]) -> list[tuple[int, bytes, int]]:
        """As `read`, with by how many microseconds the moments in each row are later on this machine than where it was published.

        0 where the clocks of both are in step, or cannot be compared.

        Args:
            after: as `read`.
            most: as `read`.
            wall_us: returns the wall clock of this machine, in microseconds.

        Raises:
            StoreUnavailable: as `read`.
        """

    def remove(self, rows: Sequence[int]) -> None:
        """Remove rows that are taken in.

        Raises:
            StoreUnavailable: they may be there still, and come again.
        """

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake`, in any thread, whenever something may have come since `rest`. Only for the owner."""

    def rest(self) -> bool:
        """Note that nothing is left to be read, and return whether that is known: then no look is needed until `wake` is called.

        It may be known a moment later only: then `wake` is called once it is. So look again, and rest again.
        """

    def close(self) -> None:
        """Release its connections."""


@runtime_checkable
class HasIngress(Protocol):
    """An `EventStore` into which other processes publish past its owner."""

    def ingress(self) -> Ingress:
        """Return its ingress, which needs no owner."""


class Channels(Protocol):
    """Connections of other processes to the owner of a log that they reach through its store. For one thread of the owner."""

    address: str
    """Of the log, for messages."""
    patience_s: float
    """While there are connections, `serve` is called at least that often."""

    def begin(self) -> None:
        """Begin to answer: connections to owners before this one are over.

        Raises:
            StoreUnavailable: the store cannot be reached, or this is the owner no more.
        """

    def serve(self, out: Sequence[ChannelPart], over: Sequence[int]) -> list[ChannelPart]:
        """Send to connections, end those that are `over`, and return what has come, in order for each, each part once.

        A part whose number is -1 says that the other process is gone.

        Raises:
            StoreUnavailable: as `begin`. What was sent and what has come may be lost: all connections must be begun anew.
        """

    def newest_row(self) -> int:
        """Return the number of the newest row of the ingress; 0 for none.

        Raises:
            StoreUnavailable: it cannot be read.
        """

    def oldest_row(self, after: int) -> int:
        """Return the number of the oldest row of the ingress behind a row number, or one that no row reaches where there is none.

        Raises:
            StoreUnavailable: it cannot be read.
        """

    def watch(self, wake: Callable[[], None]) -> None:
        """See `Ingress.watch`."""

    def rest(self) -> bool:
        """See `Ingress.rest`."""

    def close(self) -> None:
        """Release its connections. Callable in any thread, when no other call is under way."""


class Channel(Protocol):
    """The other process's end of one connection to an owner. For one thread."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when the owner has sent something."""

    def speak(self, out: Sequence[bytes]) -> tuple[list[bytes], bool]:
        """Send bytes, if any; return what the owner has sent, and whether the connection is over. Also a sign of life.

        Raises:
            ConnectionError: the store does not answer: the connection is over.
        """

    def leave(self) -> None:
        """End the connection, and notify the owner if the store can be reached."""


@runtime_checkable
class HasChannels(Protocol):
    """An `EventStore` by which other processes reach its owner."""

    def channels(self) -> Channels:
        """Return the owner's end of them. The store is open."""
