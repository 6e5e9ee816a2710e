"""`perdure config`: the options in force and where each was set, and the permissions of a folder.

Not here: how options are found (`perdure.config`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json
from perdure.cli.operated_folder import BadChoice
from perdure.cli.terminal import Terminal, one_line
from perdure.config import load_handlers, trace

if TYPE_CHECKING:
    from perdure.config import HandlerSettings, Traced

__all__ = ["show_config"]

console = Terminal()


def show_config(
    folder: Annotated[
        str | None,
        typer.Argument(metavar="[FOLDER]", help="Also check which other users can write this data folder.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the options in force here and where each was set.

    Options that an application sets in its code are not known to this command; the log of its start names all of them.
    """
    try:
        traced, handlers = trace(), load_handlers()
    except ValueError as error:
        raise BadChoice(str(error)) from error
    if as_json:
        _print_json(traced, handlers, folder)
        return
    console.say_line(f"configuration file: {traced.file or 'none (set one with --config or PERDURE_CONFIG)'}")
    table = Table("option", "value", "from", box=None, pad_edge=False)
    for name, source in traced.sources.items():
        table.add_row(one_line(name), one_line(_shown(getattr(traced.options, name))), one_line(source))
    for type_name, name, value, source in handlers.sources():
        table.add_row(one_line(f"{type_name}: {name}"), one_line(_shown(value)), one_line(source))
    console.print(table)
    if folder is not None:
        problem = existing_folder(folder).exposure()
        console.say_line(f"folder: {problem or f'only its owner can write {folder}'}")
        raise typer.Exit(1 if problem else 0)


def _print_json(traced: Traced, handlers: HandlerSettings, folder: str | None) -> None:
    """Print the same as JSON; exit status 1 if other users can write the folder."""
    exposure = None if folder is None else existing_folder(folder).exposure()
    options = {name: {"value": getattr(traced.options, name), "from": source} for name, source in traced.sources.items()}
    names = ("type", "option", "value", "from")
    settings = [dict(zip(names, row, strict=True)) for row in handlers.sources()]
    file = None if traced.file is None else str(traced.file)
    print_json({"file": file, "options": options, "handlers": settings, "exposure": exposure})
    raise typer.Exit(1 if exposure else 0)


def _shown(value: object) -> str:
    return "" if value is None else str(value)
