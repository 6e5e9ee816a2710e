"""The four charts of the overview: depth, throughput, failures and latency; over the last minutes, or over all history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.console.drawing.charts import Series, chart
from perdure.console.log.buckets import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from perdure.console.console import View
    from perdure.console.log.buckets import Buckets

__all__ = ["graphs", "rates_now"]

MINUTES_US = 900_000_000
RATE_S = 10
MS = 1_000.0


def graphs(view: View, *, over: str, now_us: int) -> dict[str, Markup]:
    """Return the charts by name. `over`: `minutes` (the last fifteen) or `history`."""
    is_whole = over == "history"
    buckets = view.index.whole if is_whole else view.index.recent
    row = list(buckets.row() if is_whole else _until_now(buckets, now_us))
    times = [begin for begin, _ in row]
    mark = view.at_us if view.is_past else None
    width_s = buckets.width_us / 1e6

    def per_s(name: str) -> list[float]:
        return [getattr(bucket, name) / width_s for _, bucket in row]

    def late(name: str, part: float) -> list[float | None]:
        return [_percentile(getattr(bucket, name), part) for _, bucket in row]

    depth = Series("waiting and running", "one", _depths(view, row, buckets), is_area=True)
    through = [Series("published", "two", per_s("published")), Series("completed", "one", per_s("completed"))]
    failed = [Series("failed attempts", "warn", per_s("failed")), Series("dead letters", "bad", per_s("dead"))]
    latency = [
        Series("wait, median", "two", late("waits_us", 0.5)),
        Series("wait, 95 %", "part two", late("waits_us", 0.95)),
        Series("run, median", "one", late("runs_us", 0.5)),
        Series("run, 95 %", "part", late("runs_us", 0.95)),
    ]
    return {
        "depth": chart("Messages that wait or run", times, [depth], mark_us=mark),
        "throughput": chart("Messages a second", times, through, mark_us=mark),
        "failures": chart("Failures a second", times, failed, mark_us=mark),
        "latency": chart("Wait and run times in milliseconds", times, latency, unit=" ms", mark_us=mark),
    }


def _until_now(buckets: Buckets, now_us: int) -> Iterator[tuple[int, Bucket]]:
    """Yield the seconds of the last minutes up to now, also those in which nothing happened, from the first that was counted."""
    first = buckets.first_us
    if first is None:
        return
    width = buckets.width_us
    for begin in range(max(first, (now_us - MINUTES_US) // width * width), now_us - 2 * width + 1, width):
        yield begin, buckets.known(begin) or Bucket()


def _depths(view: View, row: list[tuple[int, Bucket]], buckets: Buckets) -> list[float | None]:
    """Return how many messages were live at the end of each bucket, counted back from now: the log may have lost its beginning."""
    live = view.live.states
    later = sum(bucket.depth for begin, bucket in buckets.row() if row and begin > row[-1][0])
    depth = live.queue.live - later
    found: list[float | None] = []
    for _, bucket in reversed(row):
        found.append(max(0, depth))
        depth -= bucket.depth
    return found[::-1]


def rates_now(view: View, now_us: int) -> dict[str, float]:
    """Return messages a second, over the last whole seconds."""
    sums = dict.fromkeys(("published", "completed", "failed"), 0)
    for _, bucket in view.index.recent.row(now_us - (RATE_S + 1) * 1_000_000, now_us - 1_000_000):
        for name in sums:
            sums[name] += getattr(bucket, name)
    return {name: total / RATE_S for name, total in sums.items()}


def _percentile(samples: list[int], part: float) -> float | None:
    if not samples:
        return None
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] / MS
