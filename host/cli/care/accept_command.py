"""`perdure accept-loss`: accept that logs in a database hold less than was known to be durable. The work is the store's."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.terminal import Terminal
from perdure.store import accept_loss, checked_address

__all__ = ["accept"]

console = Terminal()


def accept(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="postgresql://…#QUEUE, or #QUEUE/PARTITION.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Go on with logs in a database that lost what was durable, as after the failover to a standby that lagged behind."""
    checked = checked_address(address)
    if not yes:
        typer.confirm("Have you looked for a newer copy of the database? What it lost is given up for good. Go on?", abort=True)
    found = accept_loss(checked)
    if as_json:
        print_json([{**row_of(one), "lost": one.lost} for one in found])
        return
    for one in found:
        text = (
            f"{one.lost:,} event(s) up to {one.known:,} are given up"
            if one.lost
            else "nothing that was known to be durable is missing"
        )
        console.say_line(f"partition {one.number}: ends at {one.ends_at:,}; {text}")
