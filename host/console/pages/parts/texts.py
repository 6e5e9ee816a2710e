"""How values are written on a page: numbers, times, lengths of time, sizes, payloads. Pure."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from perdure.arguments.moments import moment as moment_of
from perdure.console.drawing.gantt import lasting
from perdure.events.public_names import with_public_names
from perdure.payloads.codecs import MessagePack

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FILTERS", "moment", "one_line", "payload_text", "quoted"]

PLAIN = re.compile(r"[\w.:/+-]+")
LINE_CHARS = 200
PAYLOAD_CHARS = 100_000
KIB = 1024.0
NONE = "\N{EN DASH}"
"""What stands where there is no value."""


def quoted(text: str) -> str:
    """Return a value as the language of expressions reads it."""
    return text if PLAIN.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def number(value: float | None) -> str:
    """Return a whole number with thousands apart; a dash for None."""
    return NONE if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Return a rate, with a decimal where it is small."""
    return NONE if value is None else f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"  # noqa: PLR2004 - three digits


def size(value: float | None) -> str:
    """Return a number of bytes in a unit that fits."""
    if value is None:
        return NONE
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < KIB:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= KIB
    return f"{value:,.1f} TiB"


def when(at: int | dt.datetime | None) -> Markup | str:
    """Return a moment (microseconds since the epoch, or aware) as an element that holds it exactly, in UTC."""
    if not at:
        return NONE
    exact = at if isinstance(at, dt.datetime) else moment_of(int(at))
    text = f"{exact:%Y-%m-%d %H:%M:%S}"
    return Markup(f'<time datetime="{exact:%Y-%m-%dT%H:%M:%S.%f}Z">{text}</time>')  # noqa: S704 - digits alone


def moment(at_us: int) -> str:
    """Return a moment (microseconds since the epoch) as plain text, in UTC."""
    return f"{moment_of(at_us):%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """Return a length of time in a few characters."""
    return NONE if seconds is None else lasting(seconds * 1e6)


def one_line(text: str | None) -> str:
    """Return the beginning of a text, on one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"


def payload_text(payload: bytes) -> tuple[str, bool]:
    """Return a payload as JSON, and whether it is: bytes of another codec are shown as hexadecimal numbers."""
    try:
        value: Any = MessagePack().decode(payload, None)
        text = json.dumps(value, indent=2, ensure_ascii=False, default=repr)
    except Exception:  # noqa: BLE001 - another codec's bytes may decode to anything, or not at all
        return payload[: PAYLOAD_CHARS // 3].hex(" "), False
    return (text, True) if len(text) <= PAYLOAD_CHARS else (text[:PAYLOAD_CHARS] + "…", False)


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "rate": rate,
    "size": size,
    "when": when,
    "duration": duration,
    "one_line": one_line,
    "quoted": quoted,
    "named": with_public_names,
}
