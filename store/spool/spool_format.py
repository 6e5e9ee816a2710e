"""The bytes of a spool file: a header, then records, each with a checksum.

Header, 20 bytes, little endian:

    offset  size  field
         0     4  magic `PdSp`
         4     1  version of the format (1)
         5     3  reserved, 0
         8     8  8 random bytes, so that a record of another file does not fit
        16     4  CRC-32 (zlib) of the 16 bytes before

Record, 16 bytes and its body, which is MessagePack: an array of byte strings, each what one caller spooled:

    offset  size  field
         0     4  magic `PdSr`
         4     4  its number in the file, from 1
         8     4  length of the body
        12     4  CRC-32 of the 12 bytes before and the body, started from the header's CRC-32

A record is written at once and synced before the next one. So bytes that are no whole record were never acknowledged if no whole
record follows: they are a torn tail. Before a whole record, they are damage.
"""

from __future__ import annotations

import struct
import zlib

import attrs
import msgspec

__all__ = ["HEADER_BYTES", "RECORD_BYTES_MAX", "Contents", "file_name", "is_spool", "pack_header", "pack_record", "parse"]

MAGIC, RECORD = b"PdSp", b"PdSr"
VERSION = 1
_HEADER = struct.Struct("<4sB3s8sI")
_RECORD = struct.Struct("<4sIII")
HEADER_BYTES = _HEADER.size
RECORD_HEAD_BYTES = _RECORD.size
RECORD_BYTES_MAX = 96 << 20
"""Bytes of a body; more than one commit takes, with all round it."""
PREFIX, SUFFIX = "spool-", ".spool"

_decoder = msgspec.msgpack.Decoder(list[bytes])


def file_name(made_us: int, salt: bytes) -> str:
    """Return the name of a spool file; names sort by the time at which they were made, in microseconds."""
    return f"{PREFIX}{made_us:016x}-{salt.hex()}{SUFFIX}"


def is_spool(name: str) -> bool:
    """Return whether a file with this name is a spool file."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def pack_header(salt: bytes) -> bytes:
    """Return a file's header; `salt` is 8 random bytes."""
    head = _HEADER.pack(MAGIC, VERSION, bytes(3), salt, 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head))


def pack_record(header: bytes, number: int, items: list[bytes]) -> bytes:
    """Return the record with a number, counted from 1, of the file with this header."""
    body = msgspec.msgpack.encode(items)
    head = _RECORD.pack(RECORD, number, len(body), 0)[:-4]
    crc = zlib.crc32(body, zlib.crc32(head, _seed(header)))
    return b"".join((head, struct.pack("<I", crc), body))


def _seed(header: bytes) -> int:
    seed: int = struct.unpack("<I", header[HEADER_BYTES - 4 :])[0]
    return seed


@attrs.frozen
class Contents:
    """What a spool file holds."""

    items: list[bytes]
    """What was spooled, in order: of all whole records."""
    problem: str = ""
    """What is damaged; empty where nothing is, or where only the end was never written whole."""
    offset: int = 0
    """Where that is."""
    damaged: int = 0
    """How many records are missing for it; each held one publish or more."""


def parse(data: bytes) -> Contents:
    """Return what a file with these bytes holds. Never raises: what is no record is skipped, up to the next one."""
    if len(data) < HEADER_BYTES:
        return Contents([])  # torn: no record was acknowledged
    header = data[:HEADER_BYTES]
    magic, version, reserved, _, crc = _HEADER.unpack(header)
    if magic != MAGIC or version != VERSION or any(reserved) or zlib.crc32(header[:-4]) != crc:
        # It was synced before the first record was written.
        records = data.count(RECORD)
        return Contents([], "the header is damaged, or of a newer version", damaged=records) if records else Contents([])
    items: list[bytes] = []
    problem, damaged_at, damaged = "", 0, 0
    at, number = HEADER_BYTES, 1
    while at < len(data):
        body = _record_at(data, at, number, _seed(header))
        if body is None:
            found = _next_record(data, at + 1, number, _seed(header))
            if found is None:
                break  # a torn tail
            problem = problem or f"damaged before record {found[1]}"
            damaged_at, damaged = damaged_at or at, damaged + found[1] - number
            at, number = found
            continue
        try:
            items += _decoder.decode(body)
        except (msgspec.DecodeError, ValueError) as error:
            problem, damaged_at = problem or f"record {number} is none of this version: {error}", damaged_at or at
            damaged += 1
        at, number = at + RECORD_HEAD_BYTES + len(body), number + 1
    return Contents(items, problem, damaged_at, damaged)


def _record_at(data: bytes, at: int, number: int, seed: int) -> bytes | None:
    if len(data) - at < RECORD_HEAD_BYTES:
        return None
    magic, found, size, crc = _RECORD.unpack_from(data, at)
    begin = at + RECORD_HEAD_BYTES
    if magic != RECORD or found != number or size > RECORD_BYTES_MAX or len(data) - begin < size:
        return None
    body = data[begin : begin + size]
    return body if zlib.crc32(body, zlib.crc32(data[at : begin - 4], seed)) == crc else None


def _next_record(data: bytes, at: int, number: int, seed: int) -> tuple[int, int] | None:
    """Return where the next whole record is and its number; None if there is none."""
    while (at := data.find(RECORD, at)) >= 0:
        found = int.from_bytes(data[at + 4 : at + 8], "little")
        if found >= number and _record_at(data, at, found, seed) is not None:
            return at, found
        at += 1
    return None
