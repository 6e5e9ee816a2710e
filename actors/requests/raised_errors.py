"""The exceptions that handlers raised, for callers in this process that wait for a result: `Raised`.

Each is kept as long as the result itself, and without the variables of the frames it went through. The queue decides what of a
failure is on record.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import OrderedDict
from typing import TYPE_CHECKING

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.events.queue.state import QueueState

__all__ = ["RAISED_MAX", "Raised"]

RAISED_MAX = 10_000
"""Exceptions kept; a caller that finds none gets `HandlerFailed`."""


class Raised:
    """Exceptions by message id. Workers enter them; the queue removes them as the messages end."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: OrderedDict[str, tuple[str, BaseException]] = OrderedDict()
        """By id: the name that is put on record, and the exception itself."""

    def __len__(self) -> int:
        """Count them."""
        return len(self.kept)

    def put(self, ident: str, name: str, error: BaseException) -> None:
        """Keep what an attempt raised, under the name that is put on record; at the bound the oldest makes room."""
        self.kept[ident] = (name, error)
        while len(self.kept) > RAISED_MAX:
            with contextlib.suppress(KeyError):  # others make room as well
                self.kept.popitem(last=False)

    def get(self, ident: str) -> BaseException | None:
        """Return what ended a message."""
        _, error = self.kept.get(ident, ("", None))
        return error

    def settle(self, events: Iterable[ev.Event], state: QueueState) -> None:
        """Forget exceptions that ended no message: it is tried again, ended otherwise, or its result is no longer kept."""
        for event in events:
            match event:
                case ev.ResultKept(id=ident, exception=exception):
                    name, error = self.kept.get(ident, ("", None))
                    if error is not None and name == exception:
                        with contextlib.suppress(Exception):  # its properties are foreign code, and this is the queue's thread
                            _clear_frames(error)
                    else:
                        self.kept.pop(ident, None)
                case ev.ResultDropped(id=ident) | ev.LateResultRefused(id=ident):
                    if ident not in state.results:
                        self.kept.pop(ident, None)
                case ev.AttemptFailed(number=number, due_us=due_us) if due_us:
                    message = state.messages.get(number)
                    if message is not None:
                        self.kept.pop(message.published.id, None)
            if not self.kept:
                return


def _clear_frames(error: BaseException) -> None:
    """Clear the frames that exceptions of a chain went through, and those that called these; one that still runs stays."""
    for one in _chain(error):
        trace = one.__traceback__
        if trace is None:
            continue
        traceback.clear_frames(trace)
        frame = trace.tb_frame.f_back
        while frame is not None:
            try:
                frame.clear()
            except RuntimeError:
                break  # it runs, and so do all that called it
            frame = frame.f_back


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            left += [one.__cause__, one.__context__]
            if isinstance(one, BaseExceptionGroup):
                left += one.exceptions
            yield one
