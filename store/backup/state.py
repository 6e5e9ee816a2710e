"""What a backup says of itself: which log it holds, from where, up to where, and where its last complete run ended.

The file `backup.json`: JSON, one object, with a CRC-32 of its other fields. When it is written is up to `folder`.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import attrs

from perdure.events.errors import StoreCorrupt, StoreUnavailable

__all__ = ["BackupState", "packed", "parsed"]

FORMAT = 1
BYTES_MAX = 1 << 16
_HEX = ("store_id", "begins_after", "chain", "head_chain", "completed_chain")


@attrs.frozen
class BackupState:
    """How far a backup has come. Chain hashes are 16 bytes; empty where there is nothing to hash."""

    store_id: bytes
    first_seq: int = 1
    """The first event that it holds."""
    begins_after: bytes = b""
    """The chain hash before its first frame; empty before the first frame was copied."""
    last_seq: int = 0
    """The last event in it, of a run that was cut off perhaps."""
    chain: bytes = b""
    """The chain hash of its last frame."""
    head_seq: int = 0
    """The last event as its last frame with events says."""
    head_chain: bytes = b""
    """The chain hash of that frame."""
    completed_seq: int = -1
    """The last event of the last run that came to its end; -1: none has."""
    completed_chain: bytes = b""
    """The chain hash of the last frame then."""
    completed_us: int = 0
    """When that was, in microseconds since the epoch."""

    @property
    def is_complete(self) -> bool:
        """Whether a run has come to its end, so that there is something to restore."""
        return self.completed_seq >= 0


def packed(state: BackupState) -> bytes:
    """Return the bytes of the file."""
    fields = _fields(state)
    return json.dumps({**fields, "crc32": _crc(fields)}, indent=1).encode() + b"\n"


def parsed(data: bytes, path: str) -> BackupState:
    """Return what a file says.

    Raises:
        StoreCorrupt: it is damaged.
        StoreUnavailable: a newer version wrote it.
    """
    try:
        fields: dict[str, Any] = json.loads(data)
        crc = fields.pop("crc32")
        version = fields["format"]
        if isinstance(version, int) and version > FORMAT:
            msg = f"{path} is of format {version}; this version of perdure knows up to {FORMAT}. Upgrade perdure to read it."
            raise StoreUnavailable(msg)
        if crc == _crc(fields) and version == FORMAT:
            del fields["format"]
            values: dict[str, Any] = {name: bytes.fromhex(value) if name in _HEX else value for name, value in fields.items()}
            return BackupState(**values)
        problem = "its checksum does not match"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = str(error) or repr(error)
    msg = (
        f"{path} is damaged: {problem}. Begin another backup in an empty folder. The segments beside it may be whole all the same: "
        "in a copy of the folder without that file, `perdure repair` makes a new log of them."
    )
    raise StoreCorrupt(msg, file=path, offset=0, seq=1)


def _fields(state: BackupState) -> dict[str, Any]:
    plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in attrs.asdict(state).items()}
    return {"format": FORMAT, **plain}


def _crc(fields: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(fields, sort_keys=True).encode())
