"""From what a host passes to `publish` to a checked draft: every bound is kept here, before anything is sent.

What becomes of a draft is the queue's business.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from perdure.events.commands import Draft
from perdure.events.errors import InvalidMessage, PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.actors.clock import Clock
    from perdure.ids import Ids
    from perdure.options import Options
    from perdure.payloads import Codec, TypeNames

__all__ = ["Drafts", "to_us"]

LABEL_MAX = 512
HEADERS_MAX = 64
HEADER_CHARS_MAX = 8192
PRIORITY_MAX = 1000
DELAY_MAX_S = 100 * 365 * 86_400.0


def to_us(moment: dt.datetime | float) -> int:
    """Give a moment (datetime, naive ones as local time; or seconds since the epoch) in microseconds since the epoch."""
    seconds = moment.timestamp() if isinstance(moment, dt.datetime) else float(moment)
    return round(seconds * 1_000_000)


class Drafts:
    """Makes drafts and reads payloads; shared by the front door and the workers. Safe in any thread."""

    def __init__(self, names: TypeNames, codec: Codec, clock: Clock, ids: Ids, options: Options) -> None:
        self.names = names
        self.codec = codec
        self.clock = clock
        self.ids = ids
        self.options = options
        self.dedup: dict[str, str] = {}

    def draft(
        self,
        message: Any,
        *,
        key: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        id: str | None = None,  # noqa: A002 - the front door's name
        delay: float | None = None,
        at: dt.datetime | float | None = None,
        priority: int = 0,
        ttl: float | None = None,
        group: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Draft:
        """Check and encode one message.

        Raises:
            InvalidMessage, PayloadTooLarge, UnknownMessageType: says which field is wrong, and what is allowed.
        """
        type_name = self.names.name(type(message))
        payload = self.codec.encode(message)
        self._check_size(type_name, payload)
        ident = self.ids.one() if id is None else _label("id", id)
        if key is not None:
            _label("key", key)
        dedup = None if key is None else self.dedup.get(type_name, "replace")
        if correlation_id is not None:
            _label("correlation_id", correlation_id)
        if group is not None:
            _label("group", group)
        if priority and (type(priority) is not int or not -PRIORITY_MAX <= priority <= PRIORITY_MAX):
            msg = f"priority: a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}, not {priority!r}"
            raise InvalidMessage(msg)
        due_us = self._due_us(delay, at)
        expires_us = 0
        if ttl is not None:
            expires_us = self.clock.now_us() + max(1, round(_seconds("ttl", ttl) * 1_000_000))
        plain = _headers(headers) if headers else None
        return Draft(
            ident,
            type_name,
            payload,
            key,
            dedup,
            correlation_id,
            causation_id,
            plain,
            priority,
            due_us,
            expires_us,
            group,
        )

    def plain(self, messages: list[Any]) -> list[Draft]:
        """Check and encode messages without any option; the fast path of batches.

        Raises:
            As `draft`.
        """
        encode, name = self.codec.encode, self.names.name
        names = list(map(name, map(type, messages)))
        payloads = list(map(encode, messages))
        size_max = self.options.payload_bytes_max
        if payloads and max(map(len, payloads)) > size_max:
            for type_name, payload in zip(names, payloads, strict=True):
                self._check_size(type_name, payload)
        return list(map(Draft, self.ids.many(len(payloads)), names, payloads))

    def _check_size(self, type_name: str, payload: bytes) -> None:
        if len(payload) > self.options.payload_bytes_max:
            msg = (
                f"message: {type_name} takes {len(payload):,} bytes, more than the {self.options.payload_bytes_max:,} of "
                "Options.payload_bytes_max. Store the data elsewhere and publish where it is."
            )
            raise PayloadTooLarge(msg)

    def _due_us(self, delay: float | None, at: dt.datetime | float | None) -> int:
        if delay is not None and at is not None:
            msg = "delay, at: give one of them, not both"
            raise InvalidMessage(msg)
        if delay is not None:
            wait_s = _seconds("delay", delay)
            return self.clock.now_us() + round(wait_s * 1_000_000) if wait_s else 0
        if at is None:
            return 0
        try:
            due_us = to_us(at)
        except (TypeError, ValueError, OverflowError, OSError) as error:
            msg = f"at: a datetime or seconds since the epoch, not {at!r}"
            raise InvalidMessage(msg) from error
        now_us = self.clock.now_us()
        if due_us > now_us + DELAY_MAX_S * 1_000_000:
            msg = f"at: at most a hundred years ahead, not {at!r}"
            raise InvalidMessage(msg)
        return due_us if due_us > now_us else 0

    def load(self, type_name: str, payload: bytes) -> Any:
        """Decode a payload as its type, or as plain data where no class of that name is known.

        Raises:
            InvalidMessage: it cannot be decoded.
        """
        return self.codec.decode(payload, self.names.find(type_name))


def _label(field: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LABEL_MAX:
        shown = repr(value) if not isinstance(value, str) else f"{len(value)} characters"
        msg = f"{field}: a string of 1 to {LABEL_MAX} characters, not {shown}"
        raise InvalidMessage(msg)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        msg = f"{field}: cannot be encoded as UTF-8: {error}"
        raise InvalidMessage(msg) from error
    return value


def _seconds(field: str, value: Any) -> float:
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= DELAY_MAX_S:
        msg = f"{field}: seconds from 0 to a hundred years, not {value!r}"
        raise InvalidMessage(msg)
    return float(value)


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    try:
        plain = dict(headers)
    except (TypeError, ValueError) as error:
        msg = f"headers: a mapping of strings, not {headers!r}"
        raise InvalidMessage(msg) from error
    if len(plain) > HEADERS_MAX or not all(isinstance(k, str) and isinstance(v, str) for k, v in plain.items()):
        msg = f"headers: at most {HEADERS_MAX} pairs of strings"
        raise InvalidMessage(msg)
    if sum(len(k) + len(v) for k, v in plain.items()) > HEADER_CHARS_MAX:
        msg = f"headers: at most {HEADER_CHARS_MAX} characters together"
        raise InvalidMessage(msg)
    try:
        "".join((*plain, *plain.values())).encode()
    except UnicodeEncodeError as error:
        msg = f"headers: cannot be encoded as UTF-8: {error}"
        raise InvalidMessage(msg) from error
    return plain
