"""JSON for programs: the option `--json`, and how all commands print it. On one line each.

Times are in ISO 8601, in UTC, and all of one form: `2026-11-24T10:30:00.000000+00:00`. They sort as text.

What a command prints as JSON is only ever added to. What it prints for people is in the commands.
"""

from __future__ import annotations

import datetime as dt
import json
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from perdure.cli.terminal import told_as_output

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PARTITION", "Json", "at_partition", "print_json", "row_of"]

PARTITION: ContextVar[int | None] = ContextVar("perdure.cli.partition", default=None)
"""The partition that a command on a whole queue is at; it is part of what the command prints as JSON."""


@contextmanager
def at_partition(number: int) -> Iterator[None]:
    """Mark what is printed within the block as of a partition."""
    token = PARTITION.set(number)
    try:
        yield
    finally:
        PARTITION.reset(token)


Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def print_json(value: object) -> None:
    """Print a value as JSON on one line. Not with Rich, which would wrap it. Of a whole queue, each line has its partition."""
    number = PARTITION.get()
    if number is not None:
        value = {"partition": number, **(value if isinstance(value, dict) else {"rows": value})}
    with told_as_output():
        typer.echo(json.dumps(value, ensure_ascii=True, default=_plain))


def row_of(value: Any, *names: str) -> dict[str, Any]:
    """Return the fields of an attrs object, or those of these names, as JSON has them."""
    fields = names or tuple(field.name for field in attrs.fields(type(value)))
    return {name: getattr(value, name) for name in fields}


def _plain(value: object) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if attrs.has(type(value)):
        return row_of(value)
    return str(value)
