"""A draft as a row of the outbox has it: MessagePack of its fields, in order.

Each field is checked as it is read, because anyone who can write the table can write a row. Not here: the table and its statements
(`sql_outbox`), and whether the queue accepts the message.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from perdure.events.commands import Draft
from perdure.events.vocabulary import Extras  # noqa: TC001 - the decoder evaluates the annotations

__all__ = ["read_draft", "written_draft"]


class _Row(NamedTuple):
    """The fields of a `Draft` with their types, which the decoder checks. Not a `Draft`: a row may have one element more."""

    id: str
    type: str
    payload: bytes
    key: str | None = None
    dedup: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    headers: dict[str, str] | None = None
    priority: int = 0
    due_us: int = 0
    expires_us: int = 0
    group: str | None = None
    extras: Extras | None = None
    subject: str | None = None
    end: None = None
    """Follows a subject, and says nothing. See `written_draft`."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Row).decode


def written_draft(draft: Draft) -> bytes:
    """Return the bytes of a draft; a field that came later is left out where it is empty, so that an older version reads it."""
    if draft.subject is None:
        return _encode(draft[:-1])
    # An older version takes the last field for `extras`, and a short subject would fit. With one field more it refuses the row.
    return _encode((*draft, None))


def read_draft(body: bytes) -> Draft:
    """Return the draft that bytes of `written_draft` stand for.

    Raises:
        msgspec.DecodeError: they are of no draft of this version; says which field is wrong.
    """
    return Draft(*_decode(body)[:-1])
