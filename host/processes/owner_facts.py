"""What a process takes over from the owner of its folder: the bounds of a publish, policies of message types, which are handled.

How the facts get here is in `connection`; which facts an owner sends is in `perdure.runtime.sharing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.commands import DraftRun, Publish
from perdure.events.loggers import GuardedLogger
from perdure.events.safe_text import inert
from perdure.payloads.type_names import namesake

if TYPE_CHECKING:
    from collections.abc import Container

    from perdure.options import Options
    from perdure.publishing.drafts import Drafts

__all__ = ["OwnerFacts"]

logger = GuardedLogger("perdure")
NOTICED_MAX = 100
"""How many types are warned of at once, and remembered: a host may make a class for each of its requests."""
AGAIN_US = 60_000_000
"""Microseconds between two warnings beyond that, so that a mistake in a much later deploy is still reported."""


class OwnerFacts:
    """The facts that an owner sent last. The connection's thread takes them, any thread reads.

    Args:
        drafts: made under the owner's bounds and policies from then on.
        options: this process's own, for all that the owner does not send.
        own: types whose policies this process knows itself.
    """

    def __init__(self, drafts: Drafts, options: Options, own: Container[str] = ()) -> None:
        self._drafts = drafts
        self._own = own
        self.options = options
        self.origin = lambda: drafts.ids.origin
        """Returns the name of this process in what it checks out by hand."""
        self.are_known = False
        """An owner has sent them, or this process became the owner."""
        self.handled: dict[str, int] = {}
        """By type that has a handler, in whatever process: how often its messages are tried again."""
        self._noticed: dict[str, None] = {}
        """The types that this process was warned of last, the oldest first."""
        self._noticed_us = 0
        """When it was warned last."""

    def take(self, facts: dict[str, Any]) -> None:
        """Take the facts that the owner sends.

        Raises:
            ValueError: the owner's messages cannot be made here.
        """
        drafts = self._drafts
        codec = type(drafts.codec).__qualname__
        if facts["codec"] != codec:
            msg = f"the owner's codec is {facts['codec']}, and this process's is {codec}: give both the same one, by `codec=`"
            raise ValueError(msg)
        self.options = drafts.options = attrs.evolve(self.options, **facts["options"])
        policies = {name: tuple(policy) for name, policy in facts["policies"].items() if name not in self._own}
        for name in list(drafts.policies):
            if name not in policies and name not in self._own:
                del drafts.policies[name]
        drafts.policies.update(policies)
        self.handled = facts["handlers"]
        self.are_known = True
        for name in drafts.names.known():
            self.notice(name)

    def notice(self, type_name: str) -> None:
        """Warn once of a type that this process uses and no process handles, where a class of the same name is handled."""
        if not self.are_known or type_name in self._noticed or type_name in self._own:
            return
        now_us = self._drafts.clock.now_us()
        if len(self._noticed) >= NOTICED_MAX and 0 <= now_us - self._noticed_us < AGAIN_US:
            return
        if alike := namesake(type_name, self.handled):
            is_first_time_full = len(self._noticed) == NOTICED_MAX - 1
            if len(self._noticed) >= NOTICED_MAX:
                self._noticed.pop([*self._noticed][0], None)  # noqa: RUF015 - a copy: other threads notice, too
            self._noticed[type_name], self._noticed_us = None, now_us
            logger.warning(
                "messages of type %s are handled by no process of this folder; there is a handler for %s. If that is the same "
                'class, give it a name that does not depend on its module: @perdure.message(name="%s"). A file that is run is '
                "called __main__.",
                inert(type_name),
                inert(alike),
                inert(type_name),
            )
            if is_first_time_full:
                logger.warning("that was said of %d types, and is said of further ones once a minute at most", NOTICED_MAX)

    def knows_policy(self, type_name: str) -> bool:
        """Return whether it is known what becomes of a key of this type."""
        return self.are_known or type_name in self._own

    def add_policies(self, command: object) -> None:
        """Give the drafts of a publish, which were made before it was known, the policy of their type."""
        if isinstance(command, Publish) and not isinstance(command.drafts, DraftRun):
            make = self._drafts.under_policy
            command.drafts = [make(draft) if draft.dedup is None else draft for draft in command.drafts]

    def retries_of(self, type_name: str) -> int:
        """Return how often a message of a type is tried again."""
        return self.handled.get(type_name, self.options.retries)
