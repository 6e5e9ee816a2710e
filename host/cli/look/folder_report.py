"""Tables and texts of `perdure stats`, `timeline` and `repair`.

Not here: folding a log (`perdure.actors.journal.log_fold`), and printing (`stats_command`, `timeline_command`,
`care/repair_command`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from perdure.arguments.moments import moment
from perdure.cli.look.status.sparkline import sparkline
from perdure.cli.terminal import inert, one_line
from perdure.events import vocabulary as ev
from perdure.events.codec.wire import decode
from perdure.events.queue.searching import letter_search, plain_payloads
from perdure.operations.reading.attempt_counts import AttemptCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from perdure.events.codec.snapshot import States
    from perdure.operations.reading.descendants import Node
    from perdure.operations.reading.record import Record
    from perdure.store import LogReader, Repair

__all__ = ["DETAILS", "folder_report", "record_row", "repair_report", "short", "timeline_report", "tree_report"]

THROUGHPUT_EVENTS = 200_000
"""How many of the newest events the throughput is drawn from, so that it takes only a moment."""
BUCKETS = 40
REASONS_SHOWN = 10
COUNTS = ("ready", "delayed", "held", "in flight", "dead", "published", "completed", "failed")
"""Columns of each type: where its messages are now, then all messages published and completed, and all failed attempts."""
NUMBER = re.compile(r"\d+")
BAR_CHARS = 20
IDS_SHOWN = 20
TEXT_CHARS = 160
DETAILS = ("attempt", "reason", "exception", "message", "percent", "note", "holder", "key", "priority", "group", "subject")
"""Fields of an event that its line of a timeline shows."""


def folder_report(reader: LogReader, states: States, *, is_past: bool = False) -> RenderableType:
    """Return a report of a log: counts by type, pauses, throughput, and dead letters by reason. `is_past`: it was so once."""
    parts: list[RenderableType] = [Text(_heading(reader, states), style="bold"), Text()]
    by_type = states.queue.by_type
    if by_type:
        parts.append(_types_table(states))
    else:
        parts.append(Text("no message was ever published in this folder"))
    if paused := _paused(states):
        way_on = "" if is_past else "; `perdure resume FOLDER [TYPE]` continues deliveries"
        parts += [Text(), one_line(f"PAUSED: {paused}{way_on}", "yellow")]
    if throughput := _throughput(reader, states.seq):
        parts += [Text(), *throughput]
    stats = letter_search.stats(states.dead_letters)
    if stats.total:
        parts += [Text(), _reasons_table(stats)]
    return Group(*parts)


def _heading(reader: LogReader, states: States) -> str:
    size, place = reader.size(), inert(reader.address or "memory")
    known = f", history kept from {reader.first_seq:,} on" if reader.first_seq > 1 else ""
    when = f", last at {moment(states.at_us):%Y-%m-%d %H:%M:%S} UTC" if states.seq else ""
    return (
        f"{place}: {states.seq:,} events{known}{when}\n{size.bytes / 2**20:,.1f} MiB in {size.segments} segment(s) and "
        f"{size.snapshots} snapshot(s)"
    )


def _types_table(states: States) -> RenderableType:
    """Return two lines per type, which fit 80 columns: its whole name, which may be long, and its counts, which are many."""
    dead = letter_search.stats(states.dead_letters).by_type
    counts = states.queue.by_type
    backlog = {name: c.ready + c.delayed + c.held + c.in_flight for name, c in counts.items()}
    most = max(backlog.values())
    parts: list[RenderableType] = []
    rows = {
        name: (c.ready, c.delayed, c.held, c.in_flight, dead.get(name, 0), c.published, c.completed, c.failed)
        for name, c in counts.items()
    }
    rows["all types"] = tuple(sum(column) for column in zip(*rows.values(), strict=True))
    widths = [max(len(title), *(len(f"{row[i]:,}") for row in rows.values())) for i, title in enumerate(COUNTS)]
    parts.append(Text("  " + "  ".join(title.rjust(width) for title, width in zip(COUNTS, widths, strict=True)), style="bold"))
    for name in [*sorted(counts, key=lambda name: (-backlog[name], name)), "all types"]:
        if name == "all types" and len(counts) == 1:
            break
        parts.append(one_line(name, "cyan"))
        line = "  ".join((f"{n:,}" if n else "-").rjust(width) for n, width in zip(rows[name], widths, strict=True))
        parts.append(Text(f"  {line}  {_bar(backlog.get(name, 0), most, 8)}".rstrip()))
    return Group(*parts)


def _paused(states: States) -> str:
    paused = sorted(states.handlers.paused_types)
    return "every type" if states.handlers.paused else ", ".join(paused)


def _throughput(reader: LogReader, last_seq: int) -> list[Text]:
    """Return lines that draw published and completed messages over the time of the newest events."""
    seen: list[tuple[int, int, int]] = []
    for frame in reader.frames(max(last_seq - THROUGHPUT_EVENTS, 0), last_seq):
        for at_us, events in decode(frame.body, frame.count):
            published = sum(type(event) is ev.Published for event in events)
            completed = sum(type(event) is ev.Completed for event in events)
            if published or completed:
                seen.append((at_us, published, completed))
    if len(seen) <= 1:  # a rate takes two moments
        return []
    first_us, last_us = min(at for at, _, _ in seen), max(at for at, _, _ in seen)
    span_us = max(last_us - first_us, 1)
    lines = [Text(f"per second in the last {_duration(span_us / 1e6)} of the log: on average / at most", style="italic")]
    for label, column in (("published", 1), ("completed", 2)):
        buckets = [0] * BUCKETS
        for row in seen:
            buckets[min(BUCKETS - 1, (row[0] - first_us) * BUCKETS // span_us)] += row[column]
        mean, peak = sum(buckets) / span_us * 1e6, max(buckets) * BUCKETS / span_us * 1e6
        lines.append(one_line(f"{label}  {sparkline(buckets, floor=0)}  {mean:,.1f} / {peak:,.1f}"))
    return lines


def _reasons_table(stats: letter_search.Stats) -> Table:
    table = Table(title=f"{stats.total:,} dead letters by reason (# stands for any number)", title_justify="left")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("share", no_wrap=True)
    table.add_column("reason")
    alike: Counter[str] = Counter()
    for reason, count in stats.by_reason.items():
        alike[NUMBER.sub("#", short(reason))] += count
    ranked = sorted(alike.items(), key=lambda item: (-item[1], item[0]))
    for reason, count in ranked[:REASONS_SHOWN]:
        table.add_row(f"{count:,}", _bar(count, ranked[0][1], BAR_CHARS), one_line(short(reason)))
    if len(ranked) > REASONS_SHOWN:
        rest = sum(count for _, count in ranked[REASONS_SHOWN:])
        table.add_row(f"{rest:,}", "", f"{len(ranked) - REASONS_SHOWN:,} other reasons")
    return table


def _bar(value: float, most: float, width: int) -> str:
    return "█" * max(round(value / most * width), 1 if value else 0) if most else ""


def timeline_report(message_id: str, records: Sequence[Record]) -> RenderableType:
    """Return the timeline of a message: a heading, a line per event with the time since the one before, and a summary."""
    first = records[0]
    published = next((r.event for r in records if isinstance(r.event, ev.Published) and r.event.id == message_id), None)
    table = Table(box=None, pad_edge=False)
    table.add_column("seq", justify="right", no_wrap=True)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("")
    before, payload, counts = first.at, b"", AttemptCounts(records)
    for record in records:
        passed = (record.at - before).total_seconds()
        detail = _detail(record, message_id, counts)
        if record.message_id == message_id and (of := _published_of(record)) is not None:
            if isinstance(record.event, ev.Replayed) and record.event.edited:
                detail = ", ".join(filter(None, (detail, f"edited: {short(changes(payload, of.payload))}")))
            payload = of.payload
        table.add_row(
            str(record.seq),
            f"{record.at:%H:%M:%S.%f}"[:-3],
            f"+{_duration(passed)}",
            record.name,
            one_line(detail),
        )
        before = record.at
    kind = f" ({published.type})" if published is not None else ""
    key = f", key {published.key}" if published is not None and published.key else ""
    heading = one_line(f"message {message_id}{kind}{key}, {first.at:%Y-%m-%d}", "bold")
    own = [record for record in records if record.message_id == message_id]
    took = _duration((own[-1].at - own[0].at).total_seconds()) if own else "0 s"
    return Group(heading, Text(), table, Text(), Text(f"{len(own)} events in {took}; the last: {own[-1].name if own else '-'}"))


def _published_of(record: Record) -> ev.Published | None:
    return record.event if isinstance(record.event, ev.Published) else getattr(record.event, "published", None)


def changes(before: bytes, after: bytes) -> str:
    """Return which fields of a payload were changed, with both values; or that it was, where it is no object with fields."""
    try:
        old, new = plain_payloads.plain_payload(before), plain_payloads.plain_payload(after)
    except ValueError:
        return "its payload"
    if not isinstance(old, dict) or not isinstance(new, dict):
        return f"{old!r} to {new!r}"
    names = [*new, *(name for name in old if name not in new)]
    return ", ".join(f"{name} {old.get(name)!r} to {new.get(name)!r}" for name in names if old.get(name) != new.get(name))


def _detail(record: Record, message_id: str, counts: AttemptCounts) -> str:
    event = record.event
    if isinstance(event, ev.Published) and event.id != message_id:
        return f"{event.type}, id {event.id}: published by its handler"
    names = ("attempts", "reason") if isinstance(event, ev.DeadLettered) else DETAILS  # the last attempt's line shows the rest
    found = ((name, counts.of(record) if name == "attempt" else getattr(event, name, None)) for name in names)
    return ", ".join(f"{name} {short(str(value))}" for name, value in found if value not in {None, "", 0})


def record_row(record: Record) -> dict[str, Any]:
    """Return an event for `--json`."""
    details = {name: value for name in DETAILS if (value := getattr(record.event, name, None)) not in (None, "", 0)}
    return {"seq": record.seq, "at": record.at, "event": record.name, "message": record.message_id, **details}


def tree_report(root: Node) -> RenderableType:
    """Return the tree of what came of a message."""
    tree = Tree(Text("what came of it", style="bold"), guide_style="dim")
    _grow(tree, root.children)
    return tree


def _grow(branch: Tree, nodes: Sequence[Node]) -> None:
    for node in nodes:
        key = f", key {node.key}" if node.key else ""
        tries = f", attempt {node.attempts}" if node.attempts > 1 else ""
        _grow(branch.add(one_line(f"{node.type} {node.id}{key}: {node.last}{tries}")), node.children)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else str(dt.timedelta(seconds=round(seconds)))  # noqa: PLR2004 - a minute


def repair_report(source: str, target: str, done: Repair) -> RenderableType:
    """Return a table of what a repair saved and what is lost, in events, messages and bytes."""
    table = Table("what", "how much", title=one_line(f"{source} to {target}"), title_justify="left")
    table.add_row("damage found", f"{len(done.findings):,}")
    table.add_row("events kept", f"{done.events_kept:,} (sequence {done.first_seq:,} to {done.last_seq:,})")
    table.add_row("snapshots kept", f"{done.snapshots_kept:,}")
    table.add_row("state complete up to", f"{done.last_seq:,}")
    table.add_row(
        "events left behind", f"{done.events_left_behind:,} in {done.bytes_left_behind:,} bytes (undamaged, but cut off by damage)"
    )
    table.add_row("unreadable", f"{done.events_unreadable:,} events; {done.bytes_unreadable:,} bytes")
    table.add_row("events lost", f"{done.events_lost:,} (those of the two rows above that no kept snapshot holds)")
    table.add_row("messages lost", _messages_lost(done))
    parts: list[RenderableType] = [table]
    parts += [one_line(f"{f.file} at offset {f.offset}, sequence {f.seq}: {f.problem}") for f in done.findings]
    if done.lost_ids:
        parts.append(one_line(f"publish again: {' '.join(done.lost_ids[:IDS_SHOWN])}"))
        if done.messages_lost > IDS_SHOWN:
            parts.append(Text(f"and {done.messages_lost - IDS_SHOWN:,} more: `perdure repair --json` names them all"))
    return Group(*parts)


def _messages_lost(done: Repair) -> str:
    unreadable = min(done.events_unreadable, done.events_lost)
    more = f", and messages in up to {unreadable:,} unreadable events" if unreadable else ""
    return f"{done.messages_lost:,} whose publication is undamaged in the old folder{more}"


def short(text: str) -> str:
    """Return the beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARS else line[: TEXT_CHARS - 1] + "…"
