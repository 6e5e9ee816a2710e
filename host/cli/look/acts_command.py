"""`perdure acts`: what operators did to a folder, from where and why."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.named_rows import NOTHING, Named, NamedRows
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.typed_moments import Since, Until, position
from perdure.cli.whole.each_partition import each_partition
from perdure.operations.audit import Audit

__all__ = ["show_acts"]

console = Terminal()

HEADINGS = ("time (UTC)", "act", "on", "changed", "by", "from", "reason")


@each_partition
def show_acts(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The data folder of a System.", show_default=False)],
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="The most acts to list: the newest.")] = 100,
    as_json: Json = False,
) -> None:
    """List what operators did: pause, scale, configure, replay, purge, cancel, snapshot, with who, from where and why."""
    acts = list(Audit(store=existing_folder(folder)).acts(since=position(since), until=position(until)))
    if as_json:
        print_json([row_of(act) for act in acts[-limit:]])
        return
    if not acts:
        console.print(f"no operator has acted on this folder{_within(since, until)}")
        return
    rows = []
    for act in acts[-limit:]:
        texts = (act.action, act.subject or "all", f"{act.count:,}", act.principal, act.origin, act.reason or NOTHING)
        rows.append(Named(one_line(str(act.seq)), [f"{act.at:%Y-%m-%d %H:%M:%S}", *map(one_line, texts)]))
    console.print(NamedRows("seq", HEADINGS, rows, texts={*HEADINGS} - {"changed"}))
    if len(acts) > limit:
        console.print(f"the newest {limit:,} of {len(acts):,}; --limit N shows more")


def _within(since: str | None, until: str | None) -> str:
    """Return in words of which span that is said."""
    begin = ", as far back as it keeps history" if since is None else f" from {since} on"
    return one_line(begin + ("" if until is None else f", up to {until}")).plain
