"""`perdure doctor`: what is amiss with the place of a log, the machine, the clock and the settings, each with what to do.

Nothing is changed. What a store knows of its own place is in `store/files/listing/folder_conditions` and
`store/postgres/connecting/server_conditions`; whether the log is whole is `verify`'s.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from perdure.arguments.moments import moment
from perdure.events import vocabulary as ev
from perdure.events.codec.wire import decode
from perdure.events.errors import PerdureError
from perdure.store.conditions import Condition, HasConditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.options import Options
    from perdure.store import LogReader

__all__ = ["examine"]

AHEAD_S = 1.0
EPOCH_S = 1_704_067_200
"""The beginning of 2024: a clock before that was never set."""
FILES_MIN = 4096
"""Open files that a System with many clients may need; each takes a few."""


def examine(log: LogReader, settings: Callable[[], Options]) -> Iterator[Condition]:
    """Yield what is found, one condition after another.

    Args:
        log: the log; it may be damaged, or not be there.
        settings: returns the options in force, or raises ValueError or OSError where they cannot be read.
    """
    yield from _versions()
    yield from _limits()
    try:
        options = settings()
    except (ValueError, OSError) as error:
        yield Condition("settings", "problem", str(error), "correct it: every start fails until then")
    else:
        yield from _settings(options)
    try:
        log.check_readable()
        if isinstance(log, HasConditions):
            yield from log.conditions()
        yield from _log(log)
    except (PerdureError, OSError) as error:
        yield Condition("log", "problem", str(error), "see above; `perdure verify` says more about a damaged log")


def _versions() -> Iterator[Condition]:
    python = ".".join(map(str, sys.version_info[:3]))
    try:
        yield Condition("versions", "ok", f"perdure {version('perdure')}, Python {python}")
    except PackageNotFoundError:
        advice = "install it with pip, so that tools know which version runs"
        yield Condition("versions", "note", f"perdure without metadata, so of an unknown version, Python {python}", advice)


def _limits() -> Iterator[Condition]:
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FILES_MIN and soft != resource.RLIM_INFINITY:
        what = f"a process of this user may have {soft:,} files open (up to {hard:,})"
        advice = f"with hundreds of clients or process handlers: ulimit -n {FILES_MIN}, LimitNOFILE= in a systemd unit"
        yield Condition("open files", "note", what, advice)
    else:
        yield Condition("open files", "ok", f"a process of this user may have {soft:,} files open")
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if size != resource.RLIM_INFINITY:
        what = f"a process of this user may not write files beyond {size:,} bytes"
        yield Condition("file sizes", "problem", what, "ulimit -f unlimited, or keep Options.segment_bytes well below")


def _settings(options: Options) -> Iterator[Condition]:
    found = []
    if options.durability == "os":
        what = 'durability is "os": what was acknowledged can be lost in a power cut'
        found.append(Condition("settings", "note", what, 'set durability = "fsync", unless that loss is acceptable'))
    memory = _memory_bytes()
    held = options.resident_payload_bytes + options.dead_letters_bytes_max + options.results_bytes_max
    if memory and held > memory // 2:
        what = f"payloads, dead letters and results may take {held / 2**30:,.1f} GiB, and this machine has {memory / 2**30:,.1f}"
        advice = "lower resident_payload_bytes, dead_letters_bytes_max or results_bytes_max"
        found.append(Condition("settings", "note", what, advice))
    if options.payload_bytes_max > options.batch_bytes_max:
        what = f"payload_bytes_max ({options.payload_bytes_max:,}) is more than batch_bytes_max ({options.batch_bytes_max:,})"
        found.append(Condition("settings", "note", what, "raise batch_bytes_max: a large message can only be published alone"))
    if options.history == "archive" and options.history_folder is not None and not os.access(options.history_folder, os.W_OK):
        what = f"history_folder {options.history_folder} cannot be written"
        found.append(Condition("settings", "problem", what, "create it, or let this user write it: old segments stay until then"))
    yield from found or [Condition("settings", "ok", "the settings of file and environment fit; `perdure config` shows them")]


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def _log(log: LogReader) -> Iterator[Condition]:
    """Yield what the newest events say of the clock and of the version that wrote them."""
    seqs = log.snapshot_seqs()
    if not seqs and not log.size().segments:
        what = f"{log.address or 'the folder'} holds no log: no System has ever run on it"
        yield Condition("log", "problem", what, "check the name; before the first start this is as it should be")
        return
    last_us, seq, started = 0, 0, ""
    for frame in log.frames(max(0, seqs[-1] - 1) if seqs else 0):
        for at_us, events in decode(frame.body, frame.count):
            last_us = max(last_us, at_us)
            started = next((event.version for event in reversed(events) if isinstance(event, ev.Started)), started)
        seq = frame.last_seq
    now_s = time.time()
    if now_s < EPOCH_S:
        yield Condition("clock", "problem", f"this machine's clock says {moment(round(now_s * 1e6))}", "set it, by NTP")
    elif last_us / 1e6 > now_s + AHEAD_S:
        what = f"the log's newest event is of {moment(last_us)}, which is {last_us / 1e6 - now_s:,.0f} s in the future"
        advice = "check this clock and that of the machine that wrote it: until then, due times and schedules wait"
        yield Condition("clock", "problem", what, advice)
    else:
        at = f", {moment(last_us):%Y-%m-%d %H:%M:%S} UTC" if last_us else ""
        yield Condition("log", "ok", f"the newest event is number {seq:,}{at}")
    try:
        if started and _parts(started) > _parts(version("perdure")):
            what = f"perdure {started} wrote this log, and this is {version('perdure')}"
            yield Condition("versions", "problem", what, "upgrade: an older version may not know all of its events")
    except PackageNotFoundError:
        pass


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in text.split(".")[:3])
