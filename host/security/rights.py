"""`Rights`: asks the host's `authorize`, and refuses in words that say who may not do what, and which right it takes.

Not here: what the presets allow (`presets`), and the table of actions (`perdure.events.actions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from perdure.arguments.acting import acting_principal
from perdure.events.actions import ACTIONS, PRESETS
from perdure.events.errors import NotAllowed
from perdure.events.loggers import GuardedLogger
from perdure.events.safe_text import inert
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Send = Callable[[Sequence[Any], Callable[[], Any]], Any]

__all__ = ["Authorize", "Rights", "asked_to_send"]

OF_GIVEN_TYPES = frozenset({"publish", "consume", "pause", "resume", "scale", "configure"})
"""Actions of which the principal names the type; of others it is looked up."""
HIDDEN = None
"""The type of an error that does not name it."""
logger = GuardedLogger("perdure")

Authorize: TypeAlias = "Callable[[str, str, str], bool]"
"""`authorize(principal, action, type)`: True allows it. Called in any thread; it must not wait for the system that asks."""


class Rights:
    """What each principal may do, as the host's `authorize` decides. Safe in any thread if that is.

    Args:
        authorize: returns True if the principal may do the action to messages of the type; None: all may do all.

    Raises:
        TypeError: `authorize` cannot be called.
    """

    def __init__(self, authorize: Authorize | None = None) -> None:
        if authorize is not None and not callable(authorize):
            msg = f"authorize: a function of (principal, action, type) that returns a bool, not {shown(authorize)}"
            raise TypeError(msg)
        self._authorize = authorize

    @property
    def are_limited(self) -> bool:
        """Whether there is anything to ask; False: all may do all."""
        return self._authorize is not None

    def allow(self, principal: str, action: str, type: str = "") -> bool:
        """Return whether the principal may do it; for what is shown or hidden. An `authorize` that raises allows nothing."""
        if self._authorize is None:
            return True
        try:
            answer = self._authorize(principal, action, type)
        except Exception:
            logger.exception("authorize failed for %s, %s, type %r; that refuses", inert(principal), action, type)
            return False
        if answer is True or answer is False:
            return answer
        logger.error("authorize returned %s for %s, %s; only True allows", shown(answer), inert(principal), action)
        return False

    def require(self, principal: str, action: str, types: Iterable[str] = ("",)) -> None:
        """Return if the principal may do the action to all of these types; log a refusal.

        Args:
            principal: the person or program.
            action: one of `perdure.events.actions.ACTIONS`.
            types: names of message types; an empty name stands for all types, or for none in particular.

        Raises:
            NotAllowed: one of them is refused; says who may not do what, and which right that takes.
        """
        if self._authorize is None:
            return
        for type_name in dict.fromkeys(types):
            if not self.allow(principal, action, type_name):
                refusal = _refusal(principal, action, type_name)
                logger.warning("refused: %s", inert(str(refusal)))
                raise refusal if self._may_be_named(principal, action, type_name) else _refusal(principal, action, HIDDEN)

    def _may_be_named(self, principal: str, action: str, type_name: str) -> bool:
        """Return whether an error may name the type: the principal has named it (not only an id of it), or may look at it."""
        return not type_name or action in OF_GIVEN_TYPES or self.allow(principal, "look", type_name)

    def require_of_acting(self, action: str, types: Callable[[], Iterable[str]]) -> None:
        """As `require`, for the principal of `acting_as`; outside of that the application acts for itself, and may.

        Raises:
            NotAllowed: as `require`.
        """
        if self._authorize is not None and (principal := acting_principal()) is not None:
            self.require(principal, action, types())


def _refusal(principal: str, action: str, type_name: str | None) -> NotAllowed:
    known = ACTIONS.get(action)
    having = "" if known is None else f" ({' and '.join(_presets(known.least))} have it)"
    on = (
        f" for {type_name}" if type_name else " for all types" if type_name is not HIDDEN else " for a type that it may not look at"
    )
    msg = (
        f"{principal} may not do this: it takes the right {action!r}{on}{having}. Nothing was changed. Ask for the right where "
        "the system's `authorize` is written"
    )
    return NotAllowed(msg, principal, action, type_name or "")


def _presets(least: str) -> tuple[str, ...]:
    return PRESETS[PRESETS.index(least) :]


def asked_to_send(rights: Rights, send: Send | None, name: Callable[[type], str]) -> Send | None:
    """Return what calls that publish pass through: with limited rights, it asks for `publish` where they act for a principal.

    Args:
        rights: of the system.
        send: the middleware's part, which comes after; None without any.
        name: returns the name of a message class, or raises what the publish would raise.
    """
    if not rights.are_limited:
        return send

    def sent(messages: Sequence[Any], call_next: Callable[[], Any]) -> Any:
        principal = acting_principal()
        if principal is not None:
            rights.require(principal, "publish", sorted({name(type(message)) for message in messages}))
        return call_next() if send is None else send(messages, call_next)

    return sent
