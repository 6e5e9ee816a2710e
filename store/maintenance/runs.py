"""Runs: stretches of whole frames that continue each other without a break, found in a survey of a damaged log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.store.format.frame import chain_after
from perdure.store.survey import Damage, Stretch, WholeFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.store.protocol import LogReader

__all__ = ["Run", "Runs", "beginning", "find_runs", "run_frames"]


@attrs.define
class Run:
    """Frames that continue each other without a break, over stretches."""

    store_id: bytes
    first_seq: int
    end_seq: int
    """The sequence number after its last event."""
    begins_after: bytes
    """Chain hash before its first frame."""
    chain: bytes
    """Chain hash of its last frame."""
    events: int = 0
    bytes: int = 0


@attrs.define
class Runs:
    """What is whole of a log."""

    found: list[Run] = attrs.field(factory=list)
    epoch: int = 0
    """The highest that wrote."""
    bytes_unreadable: int = 0


def find_runs(log: LogReader) -> Runs:
    """Survey a log once and return its runs, in the order in which they lie there."""
    runs = Runs()
    for _ in _surveyed(log, runs):
        pass
    return runs


def run_frames(log: LogReader) -> Iterator[tuple[int, WholeFrame]]:
    """Survey a log again and yield each whole frame with the index of its run in `find_runs(log).found`."""
    return _surveyed(log, Runs())


def beginning(store_id: bytes, first_seq: int, epoch: int, chain: bytes = b"") -> Stretch:
    """Return the stretch with which a new log begins; without a `chain`, as if no frame had been before."""
    return Stretch("", store_id, first_seq, epoch, chain or chain_after(store_id), 0)


def _surveyed(log: LogReader, runs: Runs) -> Iterator[tuple[int, WholeFrame]]:
    """Fill `runs` from a survey; yield each whole frame with the index of its run."""
    store_id = b""
    for item in log.survey():
        match item:
            case Stretch():
                if item.restarts:
                    runs.found, runs.epoch, runs.bytes_unreadable = [], 0, 0
                runs.epoch = max(runs.epoch, item.epoch)
                store_id = item.store_id
                if item.problem:
                    runs.bytes_unreadable += item.size
                else:
                    _continue(runs, store_id, item.first_seq, item.chain)
            case Damage():
                runs.bytes_unreadable += item.size
            case WholeFrame():
                runs.epoch = max(runs.epoch, item.epoch)
                run = _continue(runs, store_id, item.frame.first_seq, item.prev)
                run.events += item.frame.count
                run.bytes += len(item.raw)
                run.end_seq, run.chain = item.frame.last_seq + 1, item.chain
                yield len(runs.found) - 1, item


def _continue(runs: Runs, store_id: bytes, seq: int, prev: bytes) -> Run:
    """Return the last run if what comes next continues it; else begin another."""
    last = runs.found[-1] if runs.found else None
    if last is not None and (last.store_id, last.end_seq, last.chain) == (store_id, seq, prev):
        return last
    run = Run(store_id, seq, seq, prev, prev)
    runs.found.append(run)
    return run
