"""The layout of a snapshot's bytes: plain values in pieces, so that no single step takes long or much memory.

Format 3: the bytes `PdS3`, the length of a MessagePack map (8 bytes, little endian), the map, and then each message block: its
length (8 bytes) and MessagePack of its own. The map's `queue.parcels` is the number of blocks. So no single call holds the
interpreter for long, and payloads on the disk pass through memory block by block, on their way out and back in.
Format 2, `PdS2`, had the lengths of the blocks in the map. Format 1 was one MessagePack map.

Not here: what the values mean (`snapshot`, `queue_snapshot`, `block_snapshot`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Source", "pack", "packed", "unpack", "unpacked"]

MAGIC = b"PdS3"
MAGIC_2 = b"PdS2"
LENGTH = 8


def pack(plain: dict[str, Any]) -> bytes:
    """Return the bytes of a snapshot's plain values, in today's format."""
    blocks = plain["queue"]["parcels"]
    return b"".join(packed({**plain, "queue": {**plain["queue"], "parcels": len(blocks)}}, blocks))


def packed(plain: dict[str, Any], blocks: Iterable[list[Any]]) -> Iterator[bytes]:
    """Return the pieces of a snapshot: first the plain values, with the number of blocks in them, then each block."""
    head = msgspec.msgpack.encode(plain)
    yield b"".join((MAGIC, len(head).to_bytes(LENGTH, "little"), head))
    for row in blocks:
        encoded = msgspec.msgpack.encode(row)
        yield b"".join((len(encoded).to_bytes(LENGTH, "little"), encoded))


def unpack(body: bytes) -> dict[str, Any]:
    """Return a snapshot's plain values, whatever its format; hostile bytes raise one of `wire.NOT_OURS`."""
    source = Source(iter((body,)))
    plain, _ = unpacked(source)
    plain["queue"]["parcels"] = list(plain["queue"]["parcels"])
    source.expect_end()
    return plain


def unpacked(source: Source) -> tuple[dict[str, Any], int]:
    """Return a snapshot's plain values, with blocks that are read from the source on demand, and the size of all else."""
    magic = source.take(len(MAGIC))
    if magic not in (MAGIC, MAGIC_2):
        body = magic + source.rest()
        plain: dict[str, Any] = msgspec.msgpack.decode(body)
        plain["queue"]["parcels"] = []
        return plain, len(body)
    size = source.length()
    plain = msgspec.msgpack.decode(source.take(size))
    blocks = plain["queue"]["parcels"]
    lengths = iter(blocks) if magic == MAGIC_2 else (source.length() for _ in range(blocks))
    plain["queue"]["parcels"] = (msgspec.msgpack.decode(source.take(length)) for length in lengths)
    return plain, size


class Source:
    """Bytes that come in pieces of any size."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes. Raises ValueError where there are fewer, and takes no more memory than there are bytes."""
        taken: list[memoryview] = []
        left = size
        while left > 0:
            if not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    msg = f"{size - left} bytes where {size} should be"
                    raise ValueError(msg)
                self._piece = memoryview(piece)
            part, self._piece = self._piece[:left], self._piece[left:]
            taken.append(part)
            left -= len(part)
        return b"".join(taken)

    def length(self) -> int:
        """Return the next length."""
        return int.from_bytes(self.take(LENGTH), "little")

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        rest = b"".join((self._piece, *self._pieces))
        self._piece = memoryview(b"")
        return rest

    def expect_end(self) -> None:
        """Raise ValueError where bytes are left."""
        if self.rest():
            msg = "bytes follow the last message block"
            raise ValueError(msg)
