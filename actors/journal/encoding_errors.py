"""Events that cannot be encoded: which requests of their append are to blame, and how these are answered.

The front door refuses known values of the kind; this is what the journal does about others. What is written, and in what order,
is in `journal`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.core.messages import OnRecord, Outcomes
from perdure.actors.core.texts import plain_text
from perdure.actors.requests.answers import Settle, SettleAll
from perdure.events.commands import Fail, Publish
from perdure.events.errors import InvalidMessage
from perdure.store.format import frame as store_frame

if TYPE_CHECKING:
    from perdure.actors.core.messages import Append
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request

__all__ = ["ENCODING_ERRORS", "refuse_unencodable"]

ENCODING_ERRORS = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What encoding raises for a value that MessagePack cannot hold."""

RETRY_US = 1_000_000
"""The wait before another attempt whose outcome may be writable."""

_encoder = msgspec.msgpack.Encoder()


def refuse_unencodable(pending: PendingRequests, append: Append, why: BaseException) -> bool:
    """Answer the requests to blame for an append that cannot be written, so that they are not sent again; return False if none is.

    An event about an actor, which follows from no request, is given up.
    Events do not say which request they follow from, but each takes its values from its command: requests whose command cannot be
    encoded either, or is as large as half a frame, are to blame. Where none is, the values were made on the way, and every request
    of the append is.
    """
    effects = (*append.written, *append.synced)
    requests = [effect.request for effect in effects if isinstance(effect, Settle)]
    requests += [request for effect in effects if isinstance(effect, SettleAll) for request in effect.requests]
    recorded = [effect for effect in effects if isinstance(effect, OnRecord)]
    for effect in recorded:
        effect.release(0)
    blamed = [request for request in requests if not _is_encodable(request.command)] or requests
    for request in blamed:
        _answer(pending, request, plain_text(f"cannot be put on record: {why}"))
    return bool(blamed or recorded)


def _is_encodable(command: Any) -> bool:
    match command:
        case Publish(drafts=drafts):
            values: Any = [*drafts]
        case Outcomes(reports=reports):
            values = reports
        case _:
            values = command
    try:
        # Commands are attrs classes and named tuples, as events are.
        return len(_encoder.encode(values)) <= store_frame.FRAME_BYTES_MAX // 2
    except ENCODING_ERRORS:
        return False


def _answer(pending: PendingRequests, request: Request, why: str) -> None:
    """Refuse a request; outcomes, which must be reported in any case, are reworded as failures and sent on."""
    command = request.command
    if isinstance(command, Outcomes):
        reports = [report if _is_encodable(report) else _failed(report, why) for report in command.reports]
        # Where none is to blame, one of them is all the same.
        command.reports = reports if reports != command.reports else [_failed(report, why) for report in reports]
        return
    pending.refuse(
        request, InvalidMessage(f"{type(command).__name__}: this {why}. Nothing of it was done, so nothing was published.")
    )


def _failed(report: Any, why: str) -> Fail:
    text = f"what came of this attempt {why}"
    return Fail(report.number, report.id, report.attempt, "perdure.InvalidMessage", text, "", RETRY_US)
