"""`perdure acts`: what operators did to a folder, from where and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.named_rows import NOTHING, Named, NamedRows
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.typed_moments import Since, Until, position
from perdure.cli.whole.each_partition import together
from perdure.operations.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.operations.reading.acts import OperatorAct

__all__ = ["show_acts"]

console = Terminal()

HEADINGS = ("time (UTC)", "act", "on", "changed", "by", "from", "reason")


def _acts_of_all(addresses: dict[int, str], since: str | None, until: str | None, limit: int) -> None:
    """Show the acts on all partitions as one list, by their times."""
    acts = [
        (number, act)
        for number, address in addresses.items()
        for act in Audit(store=existing_folder(address)).acts(since=position(since), until=position(until))
    ]
    acts.sort(key=lambda one: (one[1].at, one[0], one[1].seq))
    _print_acts(acts, since, until, limit)


@together(_acts_of_all)
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
    _print_acts([(None, act) for act in acts], since, until, limit)


def _print_acts(acts: Sequence[tuple[int | None, OperatorAct]], since: str | None, until: str | None, limit: int) -> None:
    """Print the newest acts, each with its partition where there are several."""
    if not acts:
        console.print(f"no operator has acted on this folder{_within(since, until)}")
        return
    rows = []
    for number, act in acts[-limit:]:
        texts = (act.action, act.subject or "all", f"{act.count:,}", act.principal, act.origin, act.reason or NOTHING)
        place = str(act.seq) if number is None else f"{number}/{act.seq}"
        rows.append(Named(one_line(place), [f"{act.at:%Y-%m-%d %H:%M:%S}", *map(one_line, texts)]))
    console.print(NamedRows("seq" if acts[0][0] is None else "partition/seq", HEADINGS, rows, texts={*HEADINGS} - {"changed"}))
    if len(acts) > limit:
        console.print(f"the newest {limit:,} of {len(acts):,}; --limit N shows more")


def _within(since: str | None, until: str | None) -> str:
    """Return in words the span of time that the list covers."""
    begin = ", as far back as it keeps history" if since is None else f" from {since} on"
    return one_line(begin + ("" if until is None else f", up to {until}")).plain
