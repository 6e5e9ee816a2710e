"""`HandOverReply`: logs what the owner answers when it is asked to hand the folder over. When that is asked is in `roles`."""

from __future__ import annotations

from perdure.events.loggers import GuardedLogger

__all__ = ["HandOverReply"]

logger = GuardedLogger("perdure")


class HandOverReply:
    """The reply to a request to hand over. Where it is granted, the connection ends."""

    def resolve(self, value: object) -> None:
        """See `Reply.resolve`."""
        if not value:
            logger.info("the owner of the folder prefers to keep it")

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        logger.info("the owner of the folder does not hand it over: %s", error)
