"""The frames between a folder's owner and other processes, and their bounds.

Format: a length of four bytes, little endian, then MessagePack of that many bytes: an array whose first element names its kind
(`Kind`). How commands and answers become bytes is in `objects`, what a peer may ask in `session`, and sockets are in `server`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.sessions.framing.weight import is_too_heavy

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FRAME_MAX", "HELLO_MAX", "LENGTH", "PROTOCOL", "TAKES_READING", "Assembler", "BadFrame", "Kind", "pack"]

PROTOCOL = 4
FRAME_MAX = 96 << 20
"""Bytes; above what one commit takes (60 MiB) with everything round it."""
HELLO_MAX = 4096
"""Bytes of a peer's first frame: nothing is known of it yet."""
LENGTH = 4
"""Bytes of a frame's length, before it."""
TAKES_READING = 1
"""In HELLO: the peer knows READING. An older version would end the connection at it."""


class BadFrame(ValueError):
    """What a peer sent is no frame of this protocol; the connection ends."""


class Kind(enum.IntEnum):
    """What a frame is. The first element of its array."""

    HELLO = 0
    """Peer to owner, first: `[protocol, name, origin, 1, 1]`; `origin` is how the process is named in what it checks out by hand.
    The first 1 says that its moments cross in terms of the clock that both ends can read, see `moments`, and the second that it
    takes READING; an older version does not say it."""
    WELCOME = 1
    """Owner to peer: `[protocol, facts]`; `facts` is a map. Sent again when they change."""
    BYE = 2
    """Owner to peer, last: `[error]`."""
    ASK = 3
    """Peer to owner: `[[key, times, actor, command], ...]`; `times` counts how often this was asked. A fifth element 1: the
    messages of this publish were submitted, each by itself."""
    ANSWER = 4
    """Owner to peer: `[[key, answer], ...]`; an answer that is an error is a refusal. Where not all messages of a submitted publish
    have the same answer, each has its own, under the key of the publish + 1 + its place."""
    FORGET = 5
    """Peer to owner: `[key, ...]` of requests whose answers it does not await any more."""
    PING = 6
    """Peer to owner: is it alive? From a member `[[type, runs, waits], ...]`: how long its handlers took, where that has changed;
    each a map from the bucket of `RunTimes` to a count. And `[name, news]` for each outbox that other processes may have too:
    `news` counts how often the host said that something was written into one. And `[seq]`, up to where a deputy has folded the
    log."""
    PONG = 7
    """Owner to peer: it is. To a member `[ahead_us]`: by how much the owner's clock is ahead of the one that both can read."""
    JOIN = 8
    """Peer to owner: `[member, pid, started_us]`: it has handlers, and is a member from now on."""
    SUBSCRIBE = 9
    """Member to owner: `[[may_be_out, slots, version, registration], ...]`: how many deliveries of a type it takes now, up to
    which version of it."""
    DELIVER = 10
    """Owner to member: `[type, plain, single]`, see `delivered`."""
    REVOKE = 11
    """Owner to member: `[type, number, id, attempt, cancels]`: its lease is over."""
    REATTACH = 12
    """Member to owner: `[[type, [[number, id, attempt], ...]], ...]`: what it still holds of an owner before."""
    CONFIGURE = 13
    """Owner to member: `[type, parallelism, changes, paused]`: what an operator set; parallelism below 0: as the code says."""
    OVERDUE = 14
    """Owner to member: `[type, number, id, attempt, until_us]`: its lease has run out, what becomes of it?"""
    READING = 15
    """Owner to peer, before WELCOME: `[seq, last_seq]`: it reads the log, up to which sequence number of which. Sent again when
    that has got on."""
    SPOOLED = 16
    """Peer to owner: `[]`: something that it spooled is left, and it holds its publishes back until that is taken in. Only to an
    owner whose facts say `looks_at_spool`."""
    PROOF = 24
    """First over a port, to the owner `[nonce, proof]`, from it `[proof]`; see `loopback`."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()
_KINDS = {int(kind): kind for kind in Kind}
"""By number: a look-up takes a tenth of the time of `Kind(number)`."""


def pack(kind: Kind, *elements: Any) -> bytes:
    """Return a frame.

    Raises:
        BadFrame: it would be larger than `FRAME_MAX`.
    """
    body = bytearray(LENGTH)
    _encoder.encode_into([int(kind), *elements], body, LENGTH)
    size = len(body) - LENGTH
    if size > FRAME_MAX:
        msg = f"a frame of {size:,} bytes is more than a connection takes ({FRAME_MAX:,})"
        raise BadFrame(msg)
    body[:LENGTH] = size.to_bytes(LENGTH, "little")
    return bytes(body)


class Assembler:
    """Frames from the bytes of a stream, however they arrive. Holds at most one frame that is not complete.

    Args:
        first_max: the bytes that the first frame may take.
    """

    def __init__(self, first_max: int = FRAME_MAX) -> None:
        self._buffer = bytearray()
        self._most = first_max

    @property
    def is_within(self) -> bool:
        """Whether a frame has begun that is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[Kind, list[Any]]]:
        """Take bytes in, and yield each complete frame's kind and elements.

        Raises:
            BadFrame: the bytes are no frame, or one that is larger than is taken. Nothing was taken for it.
        """
        buffer, at = self._buffer, 0
        if not buffer and LENGTH < len(data) <= self._most and int.from_bytes(data[:LENGTH], "little") == len(data) - LENGTH:
            self._most = FRAME_MAX  # first: the frame that is yielded may be the last that is asked for
            yield _parsed(bytes(data[LENGTH:]))
            return
        buffer += data
        while len(buffer) - at >= LENGTH:
            size = int.from_bytes(buffer[at : at + LENGTH], "little")
            if not 0 < size <= self._most:
                msg = f"a frame of {size:,} bytes, and at most {self._most:,} are taken here"
                raise BadFrame(msg)
            if len(buffer) - at - LENGTH < size:
                break
            yield _parsed(bytes(memoryview(buffer)[at + LENGTH : at + LENGTH + size]))
            at += LENGTH + size
            self._most = FRAME_MAX
        del buffer[:at]


def _parsed(body: bytes) -> tuple[Kind, list[Any]]:
    if is_too_heavy(body):
        msg = f"a frame of {len(body):,} bytes in more parts than are taken here"
        raise BadFrame(msg)
    try:
        elements = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        msg = f"a frame that is no MessagePack: {error}"
        raise BadFrame(msg) from None
    if not isinstance(elements, list) or not elements:
        msg = "a frame without a kind"
        raise BadFrame(msg)
    try:
        return _KINDS[elements[0]], elements[1:]
    except (KeyError, TypeError):
        kind = elements[0] if isinstance(elements[0], int) else type(elements[0]).__name__  # else it may be of any length
        msg = f"a frame of an unknown kind {kind}"
        raise BadFrame(msg) from None
