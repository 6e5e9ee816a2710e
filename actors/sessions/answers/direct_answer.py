"""`DirectAnswer`: what the thread of an actor does when it sends an answer to a peer itself.

Such a thread may be killed at any instruction. What it was about to send, and how much of it is sent, is known after that: the
server's thread goes on from there. Which answers are sent like this, and which thread may write, is in `peer` and `peer_requests`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from perdure.actors.sessions.answers.replies import AnswerKey

__all__ = ["DirectAnswer"]


class DirectAnswer:
    """An answer on its way.

    Args:
        has_ended: returns whether the thread that sends it runs no more.
    """

    __slots__ = ("_has_ended", "answer", "frame", "is_left", "sent")

    def __init__(self, has_ended: Callable[[], bool]) -> None:
        self._has_ended = has_ended
        self.answer: tuple[AnswerKey, Any] = (0, None)
        self.frame = b""
        self.is_left = False
        """An exception has ended it."""
        self.sent: list[int] = []
        """How many bytes of the frame were sent; empty: none, or not yet."""

    def send(self, sock: socket.socket) -> None:
        """Send what a socket takes now; an error is left to be found by the server's thread."""
        try:  # No bytecode runs between the two, so no exception from outside is raised between sending and noting it.
            self.sent.extend(map(sock.send, (self.frame,)))
        except OSError:
            return

    @property
    def is_partial(self) -> bool:
        """Whether a part of the frame is sent."""
        return bool(self.sent) and self.sent[0] < len(self.frame)

    @property
    def is_over(self) -> bool:
        """Whether its thread leaves the socket alone from now on, as long as this is the writer. In the server's thread."""
        return self.is_left or self.is_partial or self._has_ended()
