"""The bounds of what a peer sends, checked by the owner: a peer checks them too, but may be of another version, or broken.

Only refusing; types of fields are checked by `objects`, and whether the queue accepts a message is its rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from perdure.events import commands
from perdure.events.acts import TEXT_MAX
from perdure.events.errors import InvalidMessage, PayloadTooLarge
from perdure.events.handlers import registry
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.acts import Act

__all__ = ["Bounds", "check"]

LABEL_MAX = 512
PRIORITY_MAX = 1000
HEADERS_MAX = 64
HEADER_CHARS_MAX = 8192
DEDUP = ("replace", "reject", "append")
REPORT_CHARS_MAX = 1 << 20


class Bounds(Protocol):
    """The owner's options that bound what a peer sends (see `perdure.Options`)."""

    @property
    def payload_bytes_max(self) -> int:
        """Bytes of one encoded message."""

    @property
    def batch_max(self) -> int:
        """Messages in one atomic publish."""

    @property
    def batch_bytes_max(self) -> int:
        """Bytes of their payloads."""


def check(command: Any, bounds: Bounds, check_changes: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Refuse a command that is out of bounds. `check_changes` checks the options of a `Configure`.

    Raises:
        PayloadTooLarge: a message, or all of them, take too many bytes.
        InvalidMessage: any other bound; names the field.
    """
    if type(command) is commands.Publish:
        _check_publish(command, bounds)
        return
    _check_act(getattr(command, "act", None))
    match command:
        case commands.CheckOut(type=name, holder=holder, lease_us=lease_us, retries=retries):
            _label("type", name)
            _label("holder", holder)
            _refuse_unless(lease_us > 0 and retries >= 0, "lease")
        case commands.Done(drafts=drafts, result=result):
            _refuse_unless(not drafts and not result, "ack")
        case commands.Fail():
            texts = (command.exception, command.message, command.traceback, command.reject or "")
            _refuse_unless(command.delay_us >= 0 and sum(map(len, texts)) <= REPORT_CHARS_MAX, "reason")
        case commands.Extend(lease_us=lease_us, percent=percent, note=note):
            _refuse_unless(lease_us >= 0 and len(note) <= REPORT_CHARS_MAX, "lease")
            _refuse_unless(percent is None or 0 <= percent <= 100, "percent")  # noqa: PLR2004 - per cent
        case commands.Replay(items=items):
            for item in items:
                _refuse_unless(item.published.number == item.death.number and item.attempts >= 0, "replay")
                _refuse_unless(len(item.published.payload) <= bounds.payload_bytes_max, "message")
        case commands.RunNow(id=ident, schedule=schedule, due_us=due_us):
            _label("id", ident or schedule)
            _refuse_unless(due_us >= 0 and not (ident and schedule), "run now")
        case commands.BeginBulk(bulk=ident, where=where):
            _label("id", ident)
            _refuse_unless(len(where) <= TEXT_MAX, "where")
        case registry.Configure(changes=changes):
            check_changes(changes)
        case commands.Cancel(reason=reason) | commands.Release(reason=reason) | commands.Purge(reason=reason):
            _refuse_unless(len(reason) <= REPORT_CHARS_MAX, "reason")


def _check_act(act: Act | None) -> None:
    if act is not None:
        _refuse_unless(bool(act.principal) and all(len(text) <= TEXT_MAX for text in act), "act")


def _check_publish(publish: commands.Publish, bounds: Bounds) -> None:
    drafts = publish.drafts
    if type(drafts) is commands.DraftRun:
        sizes = list(map(len, drafts.payloads))
        total = drafts.size = sum(sizes)
        _label("type", drafts.type)
        _refuse_unless(len(drafts.ids) == len(sizes), "ids")
        if type(drafts.ids) is not IdRun:
            for ident in drafts.ids:
                _label("id", ident)
    else:
        sizes = [len(draft.payload) for draft in drafts]
        total = sum(sizes)
        for draft in drafts:
            _check_draft(draft)
    _refuse_unless(bool(sizes), "messages")
    if max(sizes) > bounds.payload_bytes_max or len(sizes) > bounds.batch_max or total > bounds.batch_bytes_max:
        msg = (
            f"messages: {len(sizes):,} of {total:,} bytes, the largest of {max(sizes):,}, are more than the owner takes: see "
            "its Options.payload_bytes_max, batch_max and batch_bytes_max"
        )
        raise PayloadTooLarge(msg)


def _check_draft(draft: commands.Draft) -> None:
    _label("type", draft.type)
    _label("id", draft.id)
    for name in ("key", "correlation_id", "causation_id", "group", "subject"):
        if (value := getattr(draft, name)) is not None:
            _label(name, value)
    _refuse_unless(draft.dedup in DEDUP if draft.key is not None else draft.dedup is None, "dedup")
    _refuse_unless(abs(draft.priority) <= PRIORITY_MAX, "priority")
    _refuse_unless(draft.due_us >= 0 and draft.expires_us >= 0, "delay, ttl")
    headers = draft.headers or {}
    _refuse_unless(len(headers) <= HEADERS_MAX and sum(map(len, (*headers, *headers.values()))) <= HEADER_CHARS_MAX, "headers")
    _refuse_unless(draft.extras is None or min(draft.extras) >= 0, "dedup_window, keep_result")


def _label(name: str, value: str) -> None:
    _refuse_unless(0 < len(value) <= LABEL_MAX, name)


def _refuse_unless(holds: bool, name: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        msg = f"{name}: not what this version of perdure takes from another process"
        raise InvalidMessage(msg)
