"""`perdure.export`: the events of a log as a file of another program's format, whole or not at all.

The file is written beside its place under another name, synced, and renamed: an export that is cut off leaves none that looks
whole.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import attrs

from perdure.arguments.choices import check_callable, check_flag, check_one_of
from perdure.arguments.parts import check_folder
from perdure.events import vocabulary as ev
from perdure.events.errors import StoreUnavailable
from perdure.events.public_names import public
from perdure.operations.audit import Audit
from perdure.operations.exporting.rows import row_of
from perdure.operations.exporting.selection import selected
from perdure.operations.exporting.writers import FORMATS, writer_of
from perdure.operations.sources import readable
from perdure.store.disk.advice import with_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.arguments.moments import Moment
    from perdure.operations.exporting.writers import Format
    from perdure.store import LogReader

__all__ = ["Exported", "export"]

PROGRESS_EVERY = 1_000
TYPES_MAX = 100_000
"""Messages whose types are remembered, so that later events of them have it too."""


@public
@attrs.frozen(kw_only=True)
class Exported:
    """What an export has written."""

    events: int
    first_seq: int
    """The first event in the file; 0 for none."""
    last_seq: int
    bytes: int


@public
def export(
    source: str | os.PathLike[str] | LogReader,
    output: str | os.PathLike[str],
    *,
    format: Format = "jsonl",
    where: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    replace: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write the events of a log into a file and return what is in it; also beside a live system. In any thread.

    Memory is bounded: events are read and written piece by piece.

    Args:
        source: a data folder, a backup, `postgresql://…#QUEUE/PARTITION`, or a store.
        output: the file. It has its name once it is whole and synced.
        format: `jsonl`, `csv`, `cloudevents` (JSON, one a line) or `parquet`, which needs `perdure[parquet]`.
        where: only events of the messages that this expression selects, as in `Audit.search`.
        since: as `Audit.events`.
        until: as `Audit.events`.
        replace: whether a file of that name is replaced.
        progress: called with the sequence number reached, every thousand events.

    Raises:
        StoreUnavailable: the log cannot be read, or the file cannot be written, or is there already.
        StoreCorrupt, HistoryDropped, InvalidMessage: as `Audit.events` and `Audit.search`.
        ValueError: there is no such format.
        PerdureError: the format needs a package that is not installed.
    """
    check_one_of("format", format, FORMATS)
    check_callable("progress", progress)
    check_flag("replace", replace)
    path = Path(check_folder(output, "output"))
    if path.exists() and not (replace and path.is_file()):
        raise StoreUnavailable(f"{path} is there already; name another file, or have it replaced (`--force`, `replace=True`)")
    reader = readable("source", source)
    reader.check_readable()
    records = selected(Audit(store=reader), where, since, until)
    events = first_seq = last_seq = 0
    types: dict[str, str] = {}
    with _written_beside(path) as file:
        writer = writer_of(format, file, (reader.store_id() or b"").hex())
        for record in records:
            writer.write(row_of(record, _type_of(record.message_id, record.event, types)))
            first_seq, last_seq, events = first_seq or record.seq, record.seq, events + 1
            if progress is not None and not events % PROGRESS_EVERY:
                progress(last_seq)
        writer.end()
        file.flush()
        size = file.tell()
    return Exported(events=events, first_seq=first_seq, last_seq=last_seq, bytes=size)


def _type_of(ident: str | None, event: ev.Event, types: dict[str, str]) -> str | None:
    """Return the type of an event's message, as far as its publication is remembered."""
    if ident is None:
        return None
    published = event if isinstance(event, ev.Published) else getattr(event, "published", None)
    if isinstance(published, ev.Published):
        types[ident] = published.type
        if len(types) > TYPES_MAX:
            del types[next(iter(types))]
    return types.get(ident)


@contextlib.contextmanager
def _written_beside(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that gets its name at the end of the block, and is removed where the block raises.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    try:
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError):
            raise _unwritten(path, error) from error
        raise


def _unwritten(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"{path} could not be written: {with_advice(error)}. No file is left.")
