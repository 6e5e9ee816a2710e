"""`PeerRights`: what one peer may do, by its uid and by the host's `authorize`.

Which rights a command takes is in `needs`; the host decides who may do what (`perdure.security`).
"""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from perdure.actors.sessions.answers.replies import Known
from perdure.actors.sessions.rights.needs import Need, Question, needs_of
from perdure.events.errors import InvalidMessage, NotRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request

__all__ = ["PeerRights", "no_rights"]

Asked = TypeVar("Asked")
"""What a session knows a request by."""


class PeerRights(Generic[Asked]):
    """Answers whether a peer may do something. For the server's thread.

    Args:
        rights: those of its uid.
        principal: the user that it runs as.
        permit: raises NotAllowed where a principal may not do an action to messages of these types; None: there is nothing to ask.
        pending: takes the questions to actors.
        notify: called in the thread of an actor when a question is answered: then there is something in `found_out`.
    """

    def __init__(
        self,
        rights: frozenset[str],
        principal: str,
        permit: Callable[[str, str, Sequence[str]], None] | None,
        pending: PendingRequests,
        notify: Callable[[], None],
    ) -> None:
        self._rights = rights
        self._principal = principal
        self._permit = permit
        self._pending = pending
        self._notify = notify
        self._known: deque[tuple[Asked, Question, Any]] = deque()
        """Requests whose question an actor has answered, with its answer."""

    def __contains__(self, right: str) -> bool:
        """Return whether its uid has a right."""
        return right in self._rights

    def check(self, right: str) -> None:
        """Raise InvalidMessage if its uid has not this right."""
        if right not in self._rights:
            msg = f"this process may not {right} here"
            raise InvalidMessage(msg)

    def permit(self, needs: Iterable[Need]) -> None:
        """Raise NotAllowed if the principal has not all these rights."""
        if self._permit is not None:
            for need in needs:
                self._permit(self._principal, need.action, need.types)

    def permit_command(self, actor: str, command: Any) -> Question | None:
        """Permit a command to an actor, or return what has to be asked before it is known which rights that takes.

        Raises:
            NotAllowed: the principal may not do it.
        """
        if self._permit is None:
            return None
        needs = needs_of(actor, command)
        if isinstance(needs, Question):
            return needs
        self.permit(needs)
        return None

    def find_out(self, asked: Asked, question: Question, refused: Callable[[BaseException], None]) -> Request:
        """Ask an actor what a request is about; it comes back in `found_out`.

        Args:
            asked: the request.
            question: what to ask.
            refused: takes the actor's error instead of an answer; in any thread.
        """
        return self._pending.send(question.actor, question.command, Known(partial(self._now_known, asked, question), refused))

    def _now_known(self, asked: Asked, question: Question, found: Any) -> None:
        self._known.append((asked, question, found))
        self._notify()

    @property
    def has_found_out(self) -> bool:
        """Whether there is something in `found_out`."""
        return bool(self._known)

    def found_out(self) -> Iterator[tuple[Asked, Callable[[], None]]]:
        """Yield the requests whose question is answered by now, each with a function that raises as `permit` does."""
        while self._known:
            asked, question, found = self._known.popleft()
            yield asked, partial(self._permit_found, question, found)

    def _permit_found(self, question: Question, found: Any) -> None:
        self.permit(question.needs(found))


def no_rights(uid: int) -> NotRunning:
    """Return the error of a process of a user that may do nothing here."""
    return NotRunning(
        f"the folder belongs to uid {os.geteuid()}, and this process runs as uid {uid}. Run it as that user, or let the "
        f"owner start with Options(allowed_uids={{{uid}: ['publish']}})"
    )
