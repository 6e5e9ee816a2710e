"""One peer of the owner: its frames become requests to the actors, and their answers become frames.

It knows no socket: `server` feeds it frames and sends what it returns. The rules decide what a request means, and that one sent
twice counts once (`times` says how often it was sent).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from perdure.actors.core.texts import plain_text
from perdure.actors.sessions.answers.peer_requests import PeerRequests
from perdure.actors.sessions.answers.replies import PeerReply, submitted_run
from perdure.actors.sessions.bounds import check
from perdure.actors.sessions.crossing import CONSUME, OBJECTS, OWNER, RIGHTS, route_of
from perdure.actors.sessions.framing.delivered import Reported
from perdure.actors.sessions.framing.moments import AHEAD, MOMENTS_CROSS, as_read
from perdure.actors.sessions.framing.objects import BadObject
from perdure.actors.sessions.framing.wire import FRAME_MAX, PROTOCOL, BadFrame, Kind, pack
from perdure.actors.sessions.handover import HandOver
from perdure.actors.sessions.member_work.member_session import MemberSession
from perdure.actors.sessions.rights.needs import Need, of_figures
from perdure.actors.sessions.rights.peer_rights import PeerRights
from perdure.events.commands import DraftRun, Publish
from perdure.events.errors import NotAllowed, NotRunning, PerdureError
from perdure.events.structures.id_index import PREFIX_CHARS, IdRun
from perdure.events.vocabulary import ProcessJoined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.sessions.answers.replies import AnswerKey
    from perdure.actors.sessions.crossing import Route
    from perdure.actors.sessions.member_work.begin_marks import MarkReader
    from perdure.actors.sessions.owner import Owner

__all__ = ["LOOKS_AT_SPOOL", "RELAYS", "SUBMITTED", "Ended", "Session"]

UUID_CHARS = 36
NAME_MAX = 100
ASKED = ("key", "times", "actor", "command")
"""What each row of an ASK frame has at least."""
RELAYS = "relays"
"""Among the facts for a member: which outboxes it relays."""
LOOKS_AT_SPOOL = "looks_at_spool"
"""Among the facts of a WELCOME: the owner takes SPOOLED. One of an older version does not say it, and looks each second."""
SUBMITTED = 1
"""Behind a request to publish: its messages were submitted, each by itself, and need not be accepted as one."""


class Ended(Exception):
    """The session is over: the owner stops, or the peer broke the protocol; `reason` is for the peer."""

    def __init__(self, reason: PerdureError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Asked(NamedTuple):
    """A request of a peer, as it came."""

    key: int
    times: int
    actor: str
    command: Any
    route: Route
    is_submitted: bool


class Session:
    """A peer's requests and answers. Every method runs in the server's thread but `answered`, `only_answer` and `gone_out`.

    Args:
        owner: the run that answers.
        notify: called in any thread when answers wait in `frames`.
        rights: what the peer may do.
        origin: which process it is, for the record of what its operators do.
        principal: the user that it runs as, of whom it is asked what it may do.
    """

    def __init__(
        self,
        owner: Owner,
        notify: Callable[[], None],
        rights: frozenset[str] = RIGHTS,
        origin: str = "another process",
        principal: str = "",
    ) -> None:
        self._owner = owner
        self._notify = notify
        self._origin = origin
        self._rights: PeerRights[_Asked] = PeerRights(rights, principal, owner.permit, owner.pending, notify)
        self._requests = PeerRequests(owner.pending, notify)
        self.answered = self._requests.answered
        """See `PeerRequests.answered`; callable in any thread."""
        self.gone_out = self._requests.gone_out
        """See `PeerRequests.gone_out`."""
        self._facts: dict[str, Any] = {}
        self._newest_id = -1
        """The count in the newest of the ids that the peer's new messages had."""
        self.name = ""
        self.origin = ""
        """How the peer is named in what it checks out by hand; empty: not known."""
        self.takers: dict[Kind, Callable[[list[Any]], list[bytes]]] = {
            Kind.ASK: self._take_asked,
            Kind.FORGET: self._take_forgotten,
            Kind.PING: lambda _: [pack(Kind.PONG)],
            Kind.JOIN: self._take_join,
            Kind.SPOOLED: self._take_spooled,
        }
        """By kind of frame that may come after HELLO, what takes its elements and returns frames to send at once. A part that has
        frames of its own enters itself here. A taker raises BadFrame or BadObject where the elements are none of its kind."""
        self.marks: MarkReader | None = None
        """What came with HELLO: which attempts the peer's workers have begun."""
        self.member: MemberSession | None = None
        """What feeds the peer's workers; None: it has none."""
        self._is_open = self._moments_cross = False

    # --- what comes in -----------------------------------------------------------------------------------------------------

    def take(self, kind: Kind, elements: list[Any]) -> list[bytes]:
        """Take a frame of the peer in; return frames to send at once.

        Raises:
            Ended: the peer broke the protocol, or nothing is answered here any more.
        """
        try:
            return self._take(kind, elements)
        except (BadFrame, BadObject) as error:
            raise Ended(PerdureError(f"the connection was closed, since what came over it is not perdure's: {error}")) from error

    def _take(self, kind: Kind, elements: list[Any]) -> list[bytes]:
        if not self._is_open:
            return [self._welcome(kind, elements)]
        taker = self.takers.get(kind)
        if taker is None:
            msg = f"a {kind.name} frame, which only an owner sends"
            raise BadFrame(msg)
        if self.member is not None:
            self.member.heard()
        return taker(elements)

    def _take_join(self, elements: list[Any]) -> list[bytes]:
        services = self._owner.members
        match elements:
            case [str(run), int(pid), int(started_us)] if self.member is None and services and CONSUME in self._rights:
                process = ProcessJoined(plain_text(run, NAME_MAX), pid, plain_text(self.name, NAME_MAX), started_us)
                member = self.member = MemberSession(services, self._notify, self.marks, process, self._permit_consuming)
            case _:
                msg = "this process may have no handlers here"
                raise BadFrame(msg)
        self.takers[Kind.SUBSCRIBE] = partial(member.take, Kind.SUBSCRIBE)
        self.takers[Kind.REATTACH] = partial(member.take, Kind.REATTACH)
        self.takers[Kind.PING] = member.take_ping
        return []

    def _permit_consuming(self, type_name: str) -> None:
        try:
            self._rights.permit([Need("consume", (type_name,))])
        except NotAllowed as refusal:
            raise Ended(refusal) from refusal

    def _take_asked(self, elements: list[Any]) -> list[bytes]:
        for item in elements:
            self._ask(item)
        return []

    def _take_forgotten(self, elements: list[Any]) -> list[bytes]:
        for key in elements:
            self._requests.forget(key)
            if self.member is not None:
                self.member.outcomes.forget(key)
        return []

    def _take_spooled(self, _elements: list[Any]) -> list[bytes]:
        self._owner.look_at_spool()
        return []

    def _welcome(self, kind: Kind, elements: list[Any]) -> bytes:
        match kind, elements:
            case Kind.HELLO, [int(protocol), str(name), *more]:
                if protocol != PROTOCOL:
                    msg = f"protocol {protocol}, and the owner speaks {PROTOCOL}: run the same version of perdure in both processes"
                    raise BadFrame(msg)
                self.name = name[:100]
                self.origin = more[0][:NAME_MAX] if more and isinstance(more[0], str) else ""
                self._moments_cross = more[1:2] == [MOMENTS_CROSS]
            case _:
                msg = "no HELLO came first"
                raise BadFrame(msg)
        closed = self._owner.pending.closed
        if isinstance(closed, NotRunning):
            raise Ended(closed)
        self._is_open = True
        self._facts = self._facts_now()
        return self._facts_frame()

    def news(self) -> list[bytes]:
        """Return a frame with the facts where they have changed. Called several times a second."""
        if self.member is not None:
            self.member.look()
        if not self._is_open or (facts := self._facts_now()) == self._facts:
            return []
        self._facts = facts
        return [self._facts_frame()]

    def _facts_frame(self) -> bytes:
        return pack(Kind.WELCOME, PROTOCOL, {**self._facts, AHEAD: self._owner.ahead_us(), LOOKS_AT_SPOOL: True})

    def _facts_now(self) -> dict[str, Any]:
        facts = self._owner.facts()
        return facts if self.member is None else {**facts, RELAYS: self.member.relayed()}

    def _ask(self, item: object) -> None:
        key, times, actor, body, *more = item if isinstance(item, list) and len(item) >= len(ASKED) else (None,) * len(ASKED)
        # No `match`: it would take a quarter of the time of all that is done here.
        if not (
            isinstance(key, int) and isinstance(times, int) and isinstance(actor, str) and isinstance(body, bytes) and times > 0
        ):
            msg = "a malformed request"
            raise BadFrame(msg)
        if self._requests.has_come(key):
            return  # the same frame once more: it is answered once
        self._requests.enter(key)
        command = OBJECTS.object(body)
        if self._moments_cross:
            command = as_read(command, self._owner.ahead_us)
        route = route_of(actor, command)
        if route is None:
            msg = f"a {type(command).__name__} for the {actor[:50]}, which no peer may send"
            raise BadFrame(msg)
        asked = _Asked(key, times, actor, command, route, more == [SUBMITTED])
        self._answering(asked, self._admit)

    def _answering(self, asked: _Asked, step: Callable[[_Asked], None]) -> None:
        """Take a step with a request; what refuses it is its answer."""
        try:
            step(asked)
        except NotRunning as error:
            raise Ended(error) from error  # the next owner answers it
        except (PerdureError, ValueError, TypeError) as error:
            self.answered(asked.key, error)

    def _admit(self, asked: _Asked) -> None:
        """Check rights and bounds of a request, and send it on."""
        command, owner = asked.command, self._owner
        self._rights.check(asked.route.right)
        if type(command) is Publish and type(command.drafts) is not DraftRun:
            command.drafts = [owner.under_policy(d) if d.dedup is None else d for d in command.drafts]
        check(command, owner.bounds, owner.check_changes)
        question = self._rights.permit_command(asked.actor, command)
        if question is None:
            self._send(asked)
        else:
            self._requests.sent(asked.key, self._rights.find_out(asked, question, partial(self.answered, asked.key)))

    def _go_on(self) -> None:
        """Go on with the requests whose rights are known by now."""
        for asked, permit in self._rights.found_out():
            if asked.key in self._requests:  # not forgotten meanwhile
                self._answering(asked, partial(self._send_if, permit))

    def _send_if(self, permit: Callable[[], None], asked: _Asked) -> None:
        permit()
        self._send(asked)

    def _send(self, asked: _Asked) -> None:
        """Send a request to its actor, or answer it here."""
        key, command, owner = asked.key, asked.command, self._owner
        if asked.actor == OWNER:
            if isinstance(command, HandOver):
                self.answered(key, owner.hand_over(command))
            else:
                figures = owner.figures()
                self._rights.permit(of_figures(figures))
                self.answered(key, figures)
            return
        if type(command) is Publish:
            command.fresh = command.fresh and asked.times == 1 and self._are_new(command.drafts)
        elif isinstance(command, Reported):
            if self.member is not None:
                self.member.outcomes.report(key, command, PeerReply(self.answered, key))
            return
        elif (act := getattr(command, "act", None)) is not None:
            command = attrs.evolve(command, act=act._replace(origin=self._origin))  # a peer does not say what it is
        run = submitted_run(self.answered, key, command) if asked.is_submitted else None
        reply = PeerReply(self.answered, key) if run is None else run
        request = owner.pending.send(asked.actor, command, reply, is_long_wait=asked.route.is_long_wait, times=asked.times)
        self._requests.sent(key, request)

    def _are_new(self, drafts: Sequence[Any] | DraftRun) -> bool:
        """Return whether these ids count on from all that the peer used before: then no frame that was repeated brings them."""
        ids = drafts.ids if type(drafts) is DraftRun else ()
        if type(ids) is IdRun:
            first, last = ids.start, ids.start + len(ids) - 1
        elif len(ids) == 1 and len(ids[0]) == UUID_CHARS:
            try:
                first = last = int(ids[0][PREFIX_CHARS:], 16)
            except ValueError:
                return False
        else:
            return False
        is_new = first > self._newest_id
        self._newest_id = max(self._newest_id, last)
        return is_new

    # --- what goes out -----------------------------------------------------------------------------------------------------

    def frames(self, room: int = FRAME_MAX) -> list[bytes]:
        """Return the answers that have come since, and deliveries of about `room` bytes.

        `over` is set where the run has ended without answering something.
        """
        if self._rights.has_found_out:
            self._go_on()
        of_member = [] if self.member is None else self.member.frames(room)
        return of_member + self._requests.frames()

    def only_answer(self) -> tuple[tuple[AnswerKey, Any], bytes] | None:
        """See `PeerRequests.only_answer`. None for a peer with handlers: frames to it have an order."""
        return self._requests.only_answer() if self.member is None else None

    @property
    def over(self) -> PerdureError | None:
        """Why nothing more is answered here."""
        return self._requests.over

    @property
    def in_flight(self) -> int:
        """How many requests have no answer yet."""
        return len(self._requests)

    def close(self) -> None:
        """Forget the peer, and what it still waits for; settle what its workers had, unless the next owner goes on with it."""
        self._requests.forget_all()
        if self.member is not None and not isinstance(self._owner.pending.closed, NotRunning):
            self.member.close()
        if self.marks is not None:
            self.marks.close()
