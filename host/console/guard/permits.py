"""What one principal may do in the console: the rights of `perdure.security`, where anything is there that can act."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.security import Rights

__all__ = ["Permits"]


@attrs.frozen
class Permits:
    """What one principal may do."""

    principal: str
    rights: Rights
    can_act: bool
    """Something is there that can change anything: a running owner."""

    def may(self, action: str, type_name: str = "") -> bool:
        """Return whether an action is allowed. `type_name`: the message type that it is about; empty for all."""
        if action != "look" and not self.can_act:
            return False
        return self.rights.allow(self.principal, action, type_name)
