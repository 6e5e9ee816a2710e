"""What one principal may do in the console: the rights of `perdure.security`, and only looking where no owner runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.security import Rights

__all__ = ["Permits"]


@attrs.frozen
class Permits:
    """The rights of one principal. Immutable; safe in any thread."""

    principal: str
    rights: Rights
    can_act: bool
    """Whether an owner runs, which can perform acts."""

    def may(self, action: str, type_name: str = "") -> bool:
        """Return whether an action is allowed. `type_name`: the message type that it concerns; empty for all."""
        if action != "look" and not self.can_act:
            return False
        return self.rights.allow(self.principal, action, type_name)
