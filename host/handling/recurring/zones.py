"""Time zones of schedules: by name, as a tzinfo, or the machine's own with all its changes to and from summer time.

`schedules` reads cron expressions in them.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown

__all__ = ["MachineZone", "checked_zone"]


class MachineZone(dt.tzinfo):
    """The machine's zone, with the offset of each moment from the C library; a plain `astimezone()` would fix today's offset."""

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta | None:
        """See `tzinfo`."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, _moment: dt.datetime | None, /) -> dt.timedelta | None:
        """See `tzinfo`; unknown, and nothing here needs it."""
        return None

    def tzname(self, moment: dt.datetime | None) -> str | None:
        """See `tzinfo`."""
        return "local time" if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: dt.datetime) -> dt.datetime:
        """See `tzinfo`; in an hour that comes twice, `fold` says which of both it is."""
        local = moment.replace(tzinfo=dt.UTC).astimezone()
        here = local.replace(tzinfo=self, fold=0)
        return here if here.utcoffset() == local.utcoffset() else here.replace(fold=1)

    def __repr__(self) -> str:
        """Show that it is the machine's."""
        return "the machine's own zone"


def checked_zone(value: Any) -> dt.tzinfo:
    """Return the zone of a name such as "Europe/Berlin", a tzinfo as it is, and the machine's own for None.

    Raises:
        InvalidMessage: no such zone is known here.
    """
    if value is None:
        return MachineZone()
    if isinstance(value, dt.tzinfo):
        return value
    if not isinstance(value, str):
        msg = f"zone: a name such as 'Europe/Berlin', or a tzinfo, not {shown(value)}"
        raise InvalidMessage(msg)
    if value.upper() == "UTC":
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        if zoneinfo.available_timezones():
            hint = "Names are like 'Europe/Berlin', see zoneinfo.available_timezones()"
        else:
            hint = "This machine has no time zones at all: pip install tzdata"
        msg = f"zone: no time zone {shown(value)} is known here. {hint}."
        raise InvalidMessage(msg) from error
