"""What a process takes over from the owner of its folder: the bounds of a publish, policies of message types, which are handled.

How it gets here is in `connection`; what the owner tells is in `perdure.runtime.sharing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Container

    from perdure.options import Options
    from perdure.publishing.drafts import Drafts

__all__ = ["OwnersFacts"]


class OwnersFacts:
    """What the owner said last. The connection's thread takes it, any thread reads.

    Args:
        drafts: are made by the owner's bounds and policies from then on.
        options: this process's own, for all that the owner does not tell.
        own: types whose policies this process knows itself.
    """

    def __init__(self, drafts: Drafts, options: Options, own: Container[str] = ()) -> None:
        self._drafts = drafts
        self._own = own
        self.options = options
        self.handled: dict[str, int] = {}
        """By type that has a handler: how often its messages are tried again."""

    def take(self, facts: dict[str, Any]) -> None:
        """Take what the owner says of itself.

        Raises:
            ValueError: the owner's messages cannot be made here.
        """
        drafts = self._drafts
        codec = type(drafts.codec).__qualname__
        if facts["codec"] != codec:
            msg = f"the owner's codec is {facts['codec']}, and this process's is {codec}: give both the same one, by `codec=`"
            raise ValueError(msg)
        self.options = drafts.options = attrs.evolve(self.options, **facts["options"])
        told = {name: tuple(policy) for name, policy in facts["policies"].items() if name not in self._own}
        for name in list(drafts.policies):
            if name not in told and name not in self._own:
                del drafts.policies[name]
        drafts.policies.update(told)
        self.handled = facts["handlers"]

    def retries_of(self, type_name: str) -> int:
        """Return how often a message of a type is tried again."""
        return self.handled.get(type_name, self.options.retries)
