"""What `perdure dead-letters` prints of dead letters: a list, one of them in full, and both as JSON.

Not here: the commands (`dead_letters_command`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from perdure.arguments.moments import moment
from perdure.cli.look.folder_report import short
from perdure.cli.terminal import inert, one_line
from perdure.events.public_names import with_public_names
from perdure.events.queue import dead_letters as letters
from perdure.events.queue.searching import plain_payloads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from perdure.events.queue.dead_letters import Letter

__all__ = ["letter_report", "letter_row", "letters_table"]


def letters_table(found: Iterable[Letter], total: int) -> RenderableType:
    """Return a list of dead letters, newest first, two lines each: id, time and type, then the reason."""
    rows = list(found)
    parts: list[RenderableType] = [Text(f"{len(rows):,} of {total:,} dead letters, newest first", style="bold")]
    for letter in rows:
        event = letter.event
        when = f"{moment(letter.failed_us):%Y-%m-%d %H:%M:%S}"
        parts.append(Text.assemble((inert(event.published.id), "cyan"), inert(f"  {when}  {event.published.type}")))
        tries = "1 attempt" if event.attempts == 1 else f"{event.attempts} attempts"
        parts.append(
            Padding(one_line(f"{tries}: {short(with_public_names(letters.full_reason(event)))}"), (0, 0, 0, 4), expand=False)
        )
    if len(rows) < total:
        parts.append(Text("--limit N shows more; `perdure stats FOLDER` counts all of them by reason"))
    return Group(*parts)


def letter_row(letter: Letter, *, whole: bool = False) -> dict[str, Any]:
    """Return a dead letter for `--json`; with `whole` also its payload, as plain data where it can be read, and its traceback."""
    event, published = letter.event, letter.event.published
    row: dict[str, Any] = {
        "id": published.id,
        "type": published.type,
        "key": published.key,
        "correlation": published.correlation_id or published.id,
        "seq": letter.seq,
        "died": moment(letter.failed_us),
        "attempts": event.attempts,
        "reason": with_public_names(letters.full_reason(event)),
        "exception": with_public_names(event.exception),
        "error": event.message,
    }
    if whole:
        failures = [
            (moment(f.at_us), attempt, with_public_names(f.exception), f.message) for attempt, f in letters.failures_of(event)
        ]
        row["failures"] = [dict(zip(("at", "attempt", "exception", "error"), failure, strict=True)) for failure in failures]
        row["headers"] = published.headers or {}
        row["payload"] = _payload(published.payload)
        row["traceback"] = event.traceback
    return row


def _payload(payload: bytes) -> Any:
    try:
        return plain_payloads.plain_payload(payload)
    except ValueError:
        return payload


def letter_report(letter: Letter) -> RenderableType:
    """Return all details of one dead letter: every failed attempt, and the last traceback."""
    event: Any = letter.event
    lines = [
        f"id        {event.published.id}",
        f"type      {event.published.type}",
        f"key       {event.published.key or '-'}",
        f"died      {moment(letter.failed_us):%Y-%m-%d %H:%M:%S} UTC, after {event.attempts} attempts",
        f"reason    {with_public_names(event.reason)}",
        f"payload   {len(event.published.payload):,} bytes: {short(str(_payload(event.published.payload)))}",
    ]
    for attempt, f in letters.failures_of(event):
        exception = with_public_names(f.exception)
        lines += [f"attempt   {attempt} at {moment(f.at_us):%H:%M:%S}: {exception}: {f.message}"]
    trace = inert(event.traceback.rstrip(), lines=True) or "no traceback was recorded"
    return Text("\n".join([*map(inert, lines), "", trace]))
