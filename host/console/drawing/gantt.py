"""The story of a message as a Gantt chart: a row for each message of its family, with bars for waiting, attempts and pauses.

Pure: a story in, markup out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from perdure.console.log.story import Kin, Story

__all__ = ["Bar", "bars_of", "gantt"]

WIDTH, ROW, LEFT, TOP = 900, 24, 190, 24
ROWS_MAX = 40
LABEL_CHARS = 26
BAR_MIN = 2.0
DEAD_PART = 4
WAITS, RUNS, PAUSES, FAILS, DEAD = "waits", "runs", "pauses", "fails", "dead"


class Bar(NamedTuple):
    """One span of a message's life, in microseconds since the epoch."""

    kind: str
    begin_us: int
    end_us: int
    label: str


def bars_of(kin: Kin, now_us: int) -> list[Bar]:
    """Return the spans of one message's life, up to now where it lives."""
    bars: list[Bar] = []
    kind, since, label = WAITS, 0, "waits"
    attempt = 0
    for record in kin.records:
        at_us = round(record.at.timestamp() * 1e6)
        event, then = record.event, None
        match event:
            case ev.Published():
                kind, since, label = (PAUSES, at_us, "delayed") if event.due_us > at_us else (WAITS, at_us, "waits")
                continue
            case ev.Leased():
                attempt = event.attempt
                then = RUNS, f"attempt {attempt}"
            case ev.AttemptFailed():
                kind, label = FAILS, f"attempt {event.attempt} failed: {event.exception}"
                then = PAUSES, "waits for its next attempt"
            case ev.LeaseExpired():
                kind, label = FAILS, f"attempt {event.attempt} was lost: {event.reason}"
                then = WAITS, "waits"
            case ev.Returned() | ev.Awakened() | ev.Replayed():
                then = WAITS, "waits"
            case ev.DeadLettered():
                then = DEAD, "dead letter"
            case ev.Completed() | ev.Superseded() | ev.Purged() | ev.Expired() | ev.Cancelled():
                then = "", ""
            case _:
                continue
        if since:
            bars.append(Bar(kind, since, max(at_us, since), label))
        kind, label = then
        since = at_us if kind else 0
    if since:
        bars.append(Bar(kind, since, max(now_us, since), f"{label}, up to now"))
    return [bar for bar in bars if bar.end_us > bar.begin_us or bar.kind in (RUNS, FAILS)]


def gantt(story: Story, now_us: int) -> Markup:
    """Return the chart of a story."""
    rows = [(kin, bars_of(kin, now_us)) for kin in story.family[:ROWS_MAX]]
    spans = [bar for _, bars in rows for bar in bars]
    if not spans:
        return Markup("")
    begin = min(bar.begin_us for bar in spans)
    told = max((bar.end_us for bar in spans if bar.kind != DEAD), default=begin)
    # A dead letter lies there until it is dealt with; what happened before must not shrink to nothing beside that.
    end = max(told, min(max(bar.end_us for bar in spans), told + max(1, told - begin) // DEAD_PART))
    height = TOP + ROW * len(rows) + 6

    def x(at_us: int) -> float:
        return LEFT + (at_us - begin) / max(1, end - begin) * (WIDTH - LEFT - 10)

    title = f"Timeline of {len(rows)} message(s) over {lasting(end - begin)}"
    parts = [f'<svg class="gantt" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for i in range(5):
        at = begin + (end - begin) * i // 4
        anchor = ("start", "middle", "middle", "middle", "end")[i]
        parts.append(f'<line class="grid" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP - 4}" y2="{height}"/>')
        parts.append(f'<text class="axis" x="{x(at):.1f}" y="13" text-anchor="{anchor}">+{lasting(at - begin)}</text>')
    for i, (kin, bars) in enumerate(rows):
        top = TOP + ROW * i
        name = kin.published.type
        label = name if len(name) <= LABEL_CHARS else f"…{name[-LABEL_CHARS + 1 :]}"
        css = "own" if i == 0 else "child"
        parts.append(f'<text class="label {css}" x="{LEFT - 10}" y="{top + 15}" text-anchor="end">{escape(label)}</text>')
        for bar in bars:
            width = max(BAR_MIN, x(min(bar.end_us, end)) - x(bar.begin_us))
            words = escape(f"{bar.label} ({lasting(bar.end_us - bar.begin_us)})")
            place = f'x="{x(bar.begin_us):.1f}" y="{top + 4}" width="{width:.1f}" height="{ROW - 9}" rx="2"'
            parts.append(f'<rect class="bar {bar.kind}" {place}><title>{words}</title></rect>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - texts are escaped above


def lasting(us: float) -> str:
    """Return a length of time in a few characters."""
    seconds = us / 1e6
    for size, sign in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            return f"{seconds / size:.3g} {sign}"
    return f"{us / 1000:.3g} ms"
