"""Moments and places of the log that a person types: a sequence number, a date and time, or a time ago."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

import typer

from perdure.cli.operated_folder import BadChoice
from perdure.events.seconds import shown

__all__ = ["HELP", "Since", "Until", "position"]

HELP = "a sequence number, a time (2026-11-24T10:30, local unless it says otherwise) or an age (15m, 2h, 3d)"
Since = Annotated[str | None, typer.Option("--since", metavar="POSITION", help=f"From here on: {HELP}.")]
Until = Annotated[str | None, typer.Option("--until", metavar="POSITION", help=f"Up to here: {HELP}.")]
AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
DIGITS_MAX = 40
"""Of a sequence number. One behind the end of the log names its end."""
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def position(text: str | None) -> int | dt.datetime | None:
    """Return the position in the log that an argument names; None for None.

    Raises:
        BadChoice: it names none.
    """
    if text is None:
        return None
    plain = text.strip().replace(",", "").replace("_", "")
    if plain.isdecimal() and len(plain) <= DIGITS_MAX:
        return int(plain)
    try:
        if age := AGE.fullmatch(plain):
            return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=float(age[1]) * SECONDS[age[2]])
        return dt.datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        msg = f"{shown(text)} names no position in the log; write {HELP}"
        raise BadChoice(msg) from error
