"""`Request`: one command on its way to an actor. Those without an answer are kept in `pending`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.requests.submit_batch import SUBMIT_BATCH_MAX

if TYPE_CHECKING:
    from perdure.actors.core.threads.answer import Reply

__all__ = ["KEY_STEP", "Request", "whole_of"]

KEY_STEP = 1 + SUBMIT_BATCH_MAX
"""Between the keys of two requests: with room for those of the single messages of a submit batch."""


class Request(msgspec.Struct, eq=False):
    """One command on its way to an actor, and the reply that takes its answer. A Struct, since each publish makes one."""

    key: int
    target: str
    command: Any
    reply: Reply
    from_outside: bool
    times: int = 1
    seen: bool = False
    """Its receiver has looked at it before."""
    writes: int = 0
    """In how many frames it may stand that were written; one more where it was sent before, over another connection."""
    voided: int = 0
    """How many of them are known to be gone: they could not be synced, and the next journal voided them."""

    @property
    def may_be_refused(self) -> bool:
        """Whether "nothing was published" would be true: no frame that it stands in can still be there."""
        return self.from_outside and self.writes == self.voided


def whole_of(key: int) -> int:
    """Return the key of the submit batch that the message with this key was one of, if it was split; else the key itself."""
    return key - (key - 1) % KEY_STEP
