"""Payloads as plain data, without their class: for conditions on their fields, and for edits of dead letters."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["edited", "plain_payload"]


def plain_payload(payload: bytes) -> Any:
    """Return a payload as plain data.

    Raises:
        ValueError: it is no MessagePack.
    """
    return msgspec.msgpack.decode(payload)


def edited(payload: bytes, changes: dict[str, Any]) -> bytes | None:
    """Return a payload with these values at these paths; None where it lacks one of the paths, or cannot be read.

    A path names fields, and places in lists, as in an expression: `customer.id`, `lines.0.price`.
    """
    try:
        value = plain_payload(payload)
    except ValueError:
        return None
    for path, new in changes.items():
        *steps, last = path.split(".")
        place: Any = value
        for step in steps:
            place = _inside(place, step)
        if isinstance(place, dict):
            place[last] = new
        elif isinstance(place, list) and last.isdecimal() and int(last) < len(place):
            place[int(last)] = new
        else:
            return None
    return msgspec.msgpack.encode(value)


def _inside(place: Any, step: str) -> Any:
    if isinstance(place, dict):
        return place.get(step)
    return place[int(step)] if isinstance(place, list) and step.isdecimal() and int(step) < len(place) else None
