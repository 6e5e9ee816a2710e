"""What an operator can change from a page. Each act checks the right to it, then calls the system with a principal and a reason.

The owner records each act in the commit of its effect. Not here: forms (`templates`), decisions (`perdure.events`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.arguments.acting import acting_as, new_act
from perdure.cluster.routing import of_text
from perdure.console.counting import ALL, LETTERS, MESSAGES, from_plain
from perdure.events.errors import InvalidMessage, NotAllowed, NotRunning, UnknownMessage
from perdure.events.handlers.registry import Note
from perdure.publishing.given_message import given_json, given_message, json_object, option_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.console.console import Console
    from perdure.console.guard.permits import Permits
    from perdure.console.guard.sessions import Session
    from perdure.operations.bulk.bulk_act import BulkAct
    from perdure.operations.bulk.counted import Counted

__all__ = ["ACTS", "BULK_WAIT_S", "ActRequest", "begun", "check_counted", "do"]

BULK_WAIT_S = 1.0
"""How many seconds a page waits for a bulk act, which goes on after that."""


@attrs.frozen
class ActRequest:
    """One requested act: its session and rights, and the fields of the form."""

    console: Console
    session: Session
    rights: Permits
    form: dict[str, str]

    def field(self, name: str) -> str:
        """Return a field of the form; empty where it is missing."""
        return self.form.get(name, "").strip()

    def check(self, action: str, type_name: str = "") -> None:
        """Check the right to an action.

        Raises:
            NotAllowed: the principal does not have it.
            NotRunning: no owner runs that could perform it.
        """
        if self.console.front is None:
            msg = "nothing runs on this log, so nothing can be changed here: start its owner (or `perdure serve FOLDER`)"
            raise NotRunning(msg)
        self.rights.rights.require(self.rights.principal, action, [type_name])

    @property
    def front(self) -> Any:
        """The system or client that performs acts."""
        return self.console.front

    def message(self, kind: str) -> Any:
        """Return the message of a type with the payload that the form gives.

        Raises:
            InvalidMessage: the payload is no JSON object, or does not have the fields of such a message.
        """
        return given_message(self.front.drafts.names, kind, json_object(self.field("payload")))

    def letter_type(self, ident: str) -> str:
        """Return the type of a dead letter."""
        return str(self.front.state(ident).type)


def _pause(request: ActRequest) -> str:
    kind = request.field("type")
    request.check("pause", kind)
    request.front.admin.pause(kind or None)
    return f"{kind or 'All types'}: deliveries are paused"


def _resume(request: ActRequest) -> str:
    kind = request.field("type")
    request.check("resume", kind)
    request.front.admin.resume(kind or None)
    return f"{kind or 'All types'}: deliveries go on"


def _scale(request: ActRequest) -> str:
    kind, workers = request.field("type"), request.field("workers")
    request.check("scale", kind)
    if not workers.isdecimal():
        msg = f"workers: a whole number from 0 to 10,000, not {workers!r}"
        raise InvalidMessage(msg)
    request.front.admin.scale(kind, int(workers))
    return f"{kind}: {int(workers):,} worker(s)"


def _configure(request: ActRequest) -> str:
    kind, option, value = request.field("type"), request.field("option"), request.field("value")
    request.check("configure", kind)
    request.front.admin.configure(kind, **{option: option_value(value)})
    return f"{kind}: {option} is {value} from the next delivery on"


def _snapshot(request: ActRequest) -> str:
    request.check("snapshot")
    return f"A snapshot holds everything up to event {request.front.admin.snapshot():,}"


def _cancel(request: ActRequest) -> str:
    ident = request.field("id")
    request.check("cancel", request.field("type"))
    state = request.front.state(ident)
    request.check("cancel", state.type)
    done = request.front.cancel(ident, request.field("reason") or "cancelled by an operator")
    return f"{ident}: cancelled" if done else f"{ident}: had ended already"


def _replay(request: ActRequest) -> str:
    ident = request.field("id")
    request.check("replay", request.letter_type(ident))
    request.front.dead_letters.replay(ident)
    return f"{ident}: back in the queue"


def _edit(request: ActRequest) -> str:
    ident = request.field("id")
    kind = request.letter_type(ident)
    request.check("edit", kind)
    request.front.dead_letters.replay(ident, message=request.message(kind))
    return f"{ident}: edited, and back in the queue"


def _publish(request: ActRequest) -> str:
    kind = request.field("type")
    request.check("publish", kind)
    options: dict[str, Any] = {name: value for name in ("key", "group") if (value := request.field(name))}
    _check_home(request.console, options.get("group") or options.get("key"))
    ident = request.front.publish(request.message(kind), **options)
    return f"{kind} {ident}: published"


def _check_home(console: Console, label: str | None) -> None:
    """Check that a group or a key belongs to the partition of a console: in another one it would be a separate group or key.

    Raises:
        InvalidMessage: it belongs to another one.
    """
    count = len(console.partitions_shown)
    if label is not None and count and (home := of_text(label, count)) != console.number:
        msg = f"{label!r} belongs to partition {home}: publish it there, or on the page of the type of all partitions"
        raise InvalidMessage(msg)


def _reveal(request: ActRequest) -> str:
    kind = request.field("type")
    request.check("reveal", kind)
    request.front.ask("dispatcher", Note(new_act("reveal", kind), kind))
    request.session.reveal(kind)
    return f"{kind}: payloads are shown to you for 15 minutes"


def _kill(request: ActRequest) -> str:
    name = request.field("actor")
    request.check("kill")
    system = request.console.system
    if system is None:
        msg = "actors are killed in their own process; this console is in another one"
        raise NotRunning(msg)
    system.ask("dispatcher", Note(new_act("kill", name)))
    try:
        system.actors.kill(name)
    except KeyError as error:
        msg = f"no actor is named {name!r} any more"
        raise InvalidMessage(msg) from error
    return f"{name}: killed; its supervisor starts another"


def _bulk(request: ActRequest, action: str) -> str:
    """Begin a bulk act on exactly what was counted for this session."""
    request.check(action)
    partition, *plain = request.session.count_of(request.field("counted")) or [ALL]
    of, counted = from_plain(plain) if partition == request.console.number else ("", None)
    if counted is None or of != (MESSAGES if action == "cancel" else LETTERS):
        msg = "the count is too old: count them again"
        raise InvalidMessage(msg)
    check_counted(request, action, counted)
    ident = request.session.act_on(request.field("counted"))
    if _is_known(request, ident):
        msg = "this form was sent before, and has acted: count them again for another act"
        raise InvalidMessage(msg)
    act = begun(request, action, counted, ident, wait_s=BULK_WAIT_S)
    request.console.counts.forget(request.session.secret)
    done = f"{act.changed:,} of the {act.counted:,} {'message(s)' if action == 'cancel' else 'dead letter(s)'} that were counted"
    return f"{action}: {done}" if act.is_over else f"{action} goes on, also without this page: {done} so far"


def _is_known(request: ActRequest, ident: str) -> bool:
    try:
        request.front.dead_letters.bulk(ident)
    except UnknownMessage:
        return False
    return True


def check_counted(request: ActRequest, action: str, counted: Counted) -> None:
    """Check the right to act on all that was counted.

    Raises:
        NotAllowed, NotRunning: as `ActRequest.check`.
    """
    for kind in counted.by_type:
        if not request.rights.may("look", kind):
            msg = "this selects messages of types that you may not look at: name a type that you may look at, as type=…"
            raise NotAllowed(msg)
        request.check(action, kind)


def begun(request: ActRequest, action: str, counted: Any, ident: str, *, wait_s: float) -> BulkAct:
    """Begin a bulk act on what was counted, unless its id is known; wait for it up to `wait_s` seconds and return its progress."""
    letters = request.front.dead_letters
    act: BulkAct
    match action:
        case "cancel":
            act = request.front.admin.cancel_where(counted, timeout=wait_s, id=ident)
        case "purge":
            act = letters.purge_where(counted, timeout=wait_s, id=ident)
        case "edit":
            changes = {request.field("path"): given_json("value", request.field("value"))}
            act = letters.edit_where(counted, changes, timeout=wait_s, id=ident)
        case _:
            act = letters.replay_where(counted, timeout=wait_s, id=ident)
    return act


def _run_now(request: ActRequest) -> str:
    ident, schedule = request.field("id"), request.field("schedule")
    request.check("run-now", schedule or str(request.front.state(ident).type))
    if schedule:
        return f"{schedule}: a tick runs now, as message {request.front.admin.run_now(schedule=schedule)}"
    request.front.admin.run_now(ident)
    return f"{ident}: is handled now"


ACTS: dict[str, Callable[[ActRequest], str]] = {
    "pause": _pause,
    "resume": _resume,
    "scale": _scale,
    "configure": _configure,
    "snapshot": _snapshot,
    "cancel": _cancel,
    "replay": _replay,
    "edit": _edit,
    "publish": _publish,
    "reveal": _reveal,
    "kill": _kill,
    "run-now": _run_now,
    "bulk-replay": partial(_bulk, action="replay"),
    "bulk-edit": partial(_bulk, action="edit"),
    "bulk-purge": partial(_bulk, action="purge"),
    "bulk-cancel": partial(_bulk, action="cancel"),
}


def do(name: str, request: ActRequest) -> str:
    """Perform an act, recorded with its principal and reason; return a sentence that describes what was done.

    Raises:
        NotAllowed: the principal has no right to it.
        PerdureError, ValueError, TypeError: as raised by the methods of the system.
    """
    with acting_as(request.rights.principal, reason=request.field("reason")):
        return ACTS[name](request)
