"""How `perdure --help` groups the commands, by what a person wants to do, and how the text of each breaks into lines.

Not here: what the commands do.
"""

from __future__ import annotations

import inspect
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer
    from typer.models import CommandInfo, TyperInfo

__all__ = ["OF_CHAOS", "PANELS", "arrange"]

PANELS: dict[str, tuple[str, ...]] = {
    "Look: changes nothing, beside a live system too": (
        *("status", "stats", "doctor", "search", "timeline", "explain", "tail", "state", "diff", "schedules", "acts"),
        *("verify", "config"),
    ),
    "Act: through the process that owns the folder, on record": (
        *("pause", "resume", "scale", "configure", "cancel", "run-now", "publish", "snapshot", "dead-letters"),
    ),
    "Keep: backups, copies, repairs": ("backup", "restore", "export", "migrate", "repair", "accept-loss", "discard-copies"),
    "Run": ("run", "serve", "console", "demo"),
}
OF_CHAOS = "Test perdure itself"
"""The group of what chaos/ adds."""


def arrange(app: typer.Typer) -> None:
    """Put each command of an application into its group, in the order of the groups; its text fits a terminal of any width."""
    places = {name: (number, panel) for number, (panel, name) in enumerate((p, n) for p, names in PANELS.items() for n in names)}
    everything: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for known in everything:
        known.rich_help_panel = places[_name(known)][1]
    groups = [group.typer_instance.registered_commands for group in app.registered_groups if group.typer_instance is not None]
    for command in itertools.chain(app.registered_commands, *groups):
        command.help = _flowing(inspect.getdoc(command.callback) or "")
    app.registered_commands.sort(key=lambda command: places[_name(command)][0])


def _flowing(text: str) -> str:
    """Return a text whose lines end where its paragraphs do: the terminal breaks them where it ends itself."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _name(known: CommandInfo | TyperInfo) -> str:
    return known.name or str(getattr(known.callback, "__name__", ""))
