"""The options of a system: one attrs class, checked when it is made, with units in the names.

The defaults are safe; docs/OPERATIONS.md says when to change which. Options of one handler are in
`handling/options/handler_options`; files and environment variables that override options are read in `config`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import attrs

from perdure.arguments.choices import WHOLE_MAX
from perdure.arguments.labels import plain
from perdure.events.keyword_options import tells_misspelt_fields
from perdure.events.public_names import public
from perdure.events.seconds import SECONDS_MAX, is_seconds, shown

__all__ = ["COMMIT_BYTES_MAX", "Options"]


Durability: TypeAlias = Literal["fsync", "os"]
DeadLettersFull: TypeAlias = Literal["drop_oldest", "drop_newest"]
HistoryPolicy: TypeAlias = Literal["keep", "drop", "archive"]
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
COMMIT_BYTES_MAX = 32 << 20
"""Payloads of one commit; they must fit into one frame together with their metadata."""
RIGHTS = ("publish", "consume", "administer")
UID_MAX = (1 << 32) - 1
BATCH_MAX = 200_000
"""Messages of one commit: each may need some events, and a frame takes a million."""


def _seconds(minimum: float) -> Any:
    def check(_options: Any, field: attrs.Attribute[Any], value: Any) -> None:
        allowed = f"{field.name} must be a number >= {minimum:g} and <= {SECONDS_MAX:g}, not {shown(value)}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(allowed)
        if not is_seconds(value, minimum):
            raise ValueError(allowed)

    return check


def _count(minimum: int, maximum: int = WHOLE_MAX) -> Any:
    def check(_options: Any, field: attrs.Attribute[Any], value: Any) -> None:
        is_told = maximum < WHOLE_MAX or (type(value) is int and value > maximum)
        upper = f" and <= {maximum:,}" if is_told else ""
        allowed = f"{field.name} must be a whole number >= {minimum:,}{upper}, not {shown(value)}"
        if type(value) is not int:
            raise TypeError(allowed)
        if not minimum <= value <= maximum:
            raise ValueError(allowed)

    return check


def _one_of(*words: str | None) -> Any:
    def check(_options: Any, field: attrs.Attribute[Any], value: Any) -> None:
        word = plain(value) if isinstance(value, str) else value
        if not (word is None or isinstance(word, str)) or word not in words:
            msg = f"{field.name} must be {' or '.join(map(repr, words))}, not {shown(value)}"
            raise ValueError(msg)

    return check


def _rights_by_uid(value: Any) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Return pairs of a uid and its rights, sorted; `dict` makes a mapping of them."""
    named = ", ".join(RIGHTS)
    allowed = f"allowed_uids must be a dict of a uid to a list of {named}, such as {{1000: ['publish']}}, not {shown(value)}"
    given = value
    if isinstance(value, str):
        parts = [item.partition(":")[::2] for item in value.split(",") if item.strip()]
        given = {uid.strip(): [right.strip() for right in rights.split("+")] for uid, rights in parts}
    try:
        pairs = [(uid, rights) for uid, rights in (given.items() if isinstance(given, Mapping) else given)]
        is_whole = not any(isinstance(uid, bool | float) or isinstance(rights, str) or not rights for uid, rights in pairs)
        is_whole = is_whole and all(set(rights) <= set(RIGHTS) for _, rights in pairs)
        found = {int(uid): tuple(right for right in RIGHTS if right in rights) for uid, rights in pairs}
    except (TypeError, ValueError):
        raise ValueError(allowed) from None
    if not is_whole or not all(0 <= uid < UID_MAX for uid in found):
        raise ValueError(allowed)
    return tuple(sorted(found.items()))


def _level(value: Any) -> Any:
    """Read a logging level's name in any case; `none` and `off` are None."""
    if not isinstance(value, str):
        return value
    return None if value.strip().lower() in ("none", "off") else value.strip().upper()


def _is_path(_options: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, (str, Path)):
        msg = f"{field.name} must be a path (text or pathlib.Path) or None, not {shown(value)}"
        raise TypeError(msg)


def _is_truth(_options: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        msg = f"{field.name} must be True or False, not {shown(value)}"
        raise TypeError(msg)


@public
@tells_misspelt_fields
@attrs.frozen(kw_only=True)
class Options:
    """Settings of one system.

    Raises:
        ValueError, TypeError: an option is out of its range or of the wrong type; the error names it, its value and what is
        allowed.
    """

    durability: Durability = attrs.field(default="fsync", validator=_one_of(*get_args(Durability)))
    """`fsync`: a publish returns once the disk has it. `os`: once the operating system has it (lost in a power cut)."""
    publish_timeout_s: float = attrs.field(default=30.0, validator=_seconds(0.0))
    """How long a publish waits for room in the backlog."""
    backlog_max: int = attrs.field(default=1_000_000, validator=_count(1))
    """Messages that may wait."""
    backlog_bytes: int = attrs.field(default=1 << 30, validator=_count(1))
    """Bytes of payload that may wait."""
    resident_payload_bytes: int = attrs.field(default=1 << 30, validator=_count(0))
    """Bytes of waiting payloads kept in memory. Payloads of plain messages beyond that stay on the disk until their turn; they take
    at most twice their size there, plus 1 MiB."""
    payload_bytes_max: int = attrs.field(default=1 << 20, validator=_count(1, COMMIT_BYTES_MAX))
    """Bytes of one encoded message."""
    check_messages: bool = attrs.field(default=True, validator=_is_truth)
    """Whether a publish refuses a message that would not reach its handler, or not unchanged: with a wrong value in a field, say.
    For flat types this costs a few hundredths of a publish; where the types prove nothing, the payload is decoded and compared."""
    batch_max: int = attrs.field(default=50_000, validator=_count(1, BATCH_MAX))
    """Messages of one `publish_many`."""
    batch_bytes_max: int = attrs.field(default=16 << 20, validator=_count(1, COMMIT_BYTES_MAX))
    """Bytes of payload of one `publish_many`."""
    pipeline_max: int = attrs.field(default=10_000, validator=_count(1))
    """Publishes under way at once; `submit` waits at this bound."""
    dead_letters_max: int = attrs.field(default=100_000, validator=_count(1))
    """Dead letters kept."""
    dead_letters_bytes_max: int = attrs.field(default=1 << 30, validator=_count(1))
    """Bytes of dead letters kept, with all their texts. One more that passes the bound removes as many of the oldest as make
    room."""
    dead_letters_full: DeadLettersFull = attrs.field(default="drop_oldest", validator=_one_of(*get_args(DeadLettersFull)))
    """Which dead letter is purged at these bounds, on record: `drop_oldest` or `drop_newest`."""
    results_max: int = attrs.field(default=100_000, validator=_count(1))
    """Results kept for `call` and `result`; at the bound the oldest is dropped, on record."""
    results_bytes_max: int = attrs.field(default=256 << 20, validator=_count(1))
    """Bytes of those results; at the bound the oldest are dropped, on record."""
    result_kept_s: float = attrs.field(default=300.0, validator=_seconds(0.001))
    """Seconds for which the result of a `call` is kept, so that `result` finds it even after a restart."""
    held_keys_max: int = attrs.field(default=1_000_000, validator=_count(1))
    """Keys held after completion by a deduplication window; at the bound the oldest is freed, on record."""
    finished_max: int = attrs.field(default=1_000_000, validator=_count(1))
    """Ended messages whose ids are remembered, so that publishing one again adds nothing; for the last 65,536, how they ended too.
    An id of the host takes about 30 bytes, an id of perdure next to nothing. `Metrics.ids_remembered` is their number."""
    retries: int = attrs.field(default=5, validator=_count(0))
    """Retries of a handler or manual consumer that sets no number itself."""
    grace_s: float = attrs.field(default=10.0, validator=_seconds(0.0))
    """Seconds that a stop waits for handlers in flight."""
    segment_bytes: int = attrs.field(default=64 << 20, validator=_count(4096))
    """Size at which a log segment is closed and the next one begins."""
    snapshot_events: int = attrs.field(default=1_000_000, validator=_count(1))
    """Events between two snapshots."""
    snapshots_kept: int = attrs.field(default=2, validator=_count(2))
    """Snapshots kept."""
    history: HistoryPolicy = attrs.field(default="keep", validator=_one_of(*get_args(HistoryPolicy)))
    """What happens to log segments that no kept snapshot needs: `keep`, `drop` (audit then knows less), or `archive`."""
    history_folder: str | Path | None = attrs.field(default=None, validator=_is_path)
    """Where `archive` moves them: a folder for this log alone. `archive` in the data folder unless given."""
    prefetch_ms: float = attrs.field(default=10.0, validator=_seconds(0.0))
    """Milliseconds of handler time that are prefetched for a worker beside what it has in hand, so that it need not wait."""
    prefetch_max: int = attrs.field(default=512, validator=_count(1))
    """Deliveries that are prefetched for a worker at most. With fewer than 512, short handlers and the queue take turns."""
    gc_threshold: int = attrs.field(default=50_000, validator=_count(0, (1 << 31) - 1))
    """Allocations after which Python's garbage collector looks at young objects while the system runs, instead of 700. A queue
    makes many objects and no cycles, and the default costs a third of its throughput. For the whole process; 0: unchanged."""
    switch_interval_s: float | None = attrs.field(default=None, validator=attrs.validators.optional(_seconds(0.000_001)))
    """Seconds after which a computing thread lets others run while the system runs (`sys.setswitchinterval`), instead of 0.005.
    Beside one busy thread of the host a publish takes 12 times as long as alone; with 0.0005, twice. For the whole process."""
    allowed_uids: Mapping[int, Collection[str]] = attrs.field(default=(), converter=_rights_by_uid)
    """Other users of this machine whose processes may connect to a System that is `shared=True`: by uid, what they may do
    (`publish`, which includes results, states and cancelling; `consume`; `administer`). The folder's user and root may do all.
    In a file `allowed_uids = {1000 = ["publish"]}`, in the environment `1000:publish+consume, 1001:publish`."""
    restart_budget: int = attrs.field(default=8, validator=_count(0))
    """Deaths of one actor within `restart_window_s` after which the system gives up; deliberate kills do not count."""
    restart_window_s: float = attrs.field(default=60.0, validator=_seconds(0.0))
    log_failures: str | None = attrs.field(default="WARNING", converter=_level, validator=_one_of(*LEVELS, None))
    """The logging level of a line for each failed attempt (logger `perdure`), its traceback at DEBUG; None (`off`): no line."""
    log_dead_letters: str | None = attrs.field(default="ERROR", converter=_level, validator=_one_of(*LEVELS, None))
    """The logging level of a line for each message that becomes a dead letter; None (`off`): no line."""

    @classmethod
    def quick_takeover(cls, **others: Any) -> Options:
        """Return options for a folder that processes share and whose next owner must answer soon, also where much was written.

        A takeover reads what was written since the last snapshot: about 15 microseconds an event, so at most a second here, where
        the defaults allow 15. The cost is a snapshot every 50,000 events, each as large as what then waits.

        Args:
            others: further options, and others instead of those that are set here (`snapshot_events`, `segment_bytes`).

        Raises:
            ValueError, TypeError: as the class does.
        """
        return cls(**{"snapshot_events": 50_000, "segment_bytes": 8 << 20, **others})
