"""What the shell completes beyond commands and options: names of types, and ids of dead letters, where the log is small.

Not here: the scripts of the shells, which Typer makes (`perdure --install-completion`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from perdure.actors.journal.log_fold import fold_log
from perdure.cli.existing_folder import existing_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.codec.snapshot import States

__all__ = ["dead_letter_ids", "type_names"]

LOG_BYTES_MAX = 16 << 20
"""Of a log that is read while a key is pressed; in a larger one nothing is completed."""
IDS_MAX = 50


def type_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the types in the folder that was typed, as far as they begin so."""
    states = _states(ctx.params)
    return [] if states is None else sorted(name for name in states.queue.by_type if name.startswith(incomplete))


def dead_letter_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return ids of dead letters in the folder that was typed, the newest first, as far as they begin so."""
    states = _states(ctx.params)
    if states is None:
        return []
    return list(_beginning(states, incomplete))[:IDS_MAX]


def _beginning(states: States, incomplete: str) -> Iterator[str]:
    for letter in reversed(states.dead_letters.letters.values()):
        if letter.event.published.id.startswith(incomplete):
            yield letter.event.published.id


def _states(params: dict[str, Any]) -> States | None:
    try:
        reader = existing_folder(params["folder"])
        return fold_log(reader)[0] if reader.size().bytes <= LOG_BYTES_MAX else None
    except Exception:  # noqa: BLE001 - a shell that completes shows no errors
        return None
