"""The keyword options of a publish: names and types, declared once for every call that publishes.

`publish`, `submit`, `call` and `Context.publish` take `PublishOptions`. `System.publish` says what each option does, and
`perdure.publishing.drafts` checks their values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, get_args

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

__all__ = ["DEDUP", "DEFAULTS", "Dedup", "PublishManyOptions", "PublishOptions", "ScheduledOptions"]

Dedup: TypeAlias = Literal["replace", "reject", "append"]
"""What happens when a message is published with the key of a live one."""
DEDUP: tuple[Dedup, ...] = get_args(Dedup)
DEFAULTS = {"priority": 0}
"""Of all other options None."""


class PublishManyOptions(TypedDict, total=False):
    """Options that several messages can share."""

    correlation_id: str | None
    delay: float | dt.timedelta | None
    at: dt.datetime | float | None
    priority: int
    ttl: float | dt.timedelta | None
    group: str | None
    headers: Mapping[str, str] | None
    dedup: Dedup | None
    dedup_window: float | dt.timedelta | None
    debounce: float | dt.timedelta | None
    keep_result: float | dt.timedelta | None
    subject: str | None


class ScheduledOptions(PublishManyOptions, total=False):
    """Options of a message that a schedule publishes: each tick names its own id."""

    key: str | None


class PublishOptions(ScheduledOptions, total=False):
    """Options of one message."""

    id: str | None
