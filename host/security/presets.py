"""Presets of rights: viewer, operator, administrator; and `roles`, which gives each principal one.

What each allows is a column of the table in `perdure.events.actions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.actions import ACTIONS, ADMINISTRATOR, OPERATOR, PRESETS, VIEWER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.security.rights import Authorize

__all__ = ["administrator", "operator", "roles", "viewer"]


def viewer(_principal: str, action: str, _type: str) -> bool:
    """Allow to look: counts, states and timelines. No payloads, and nothing that changes anything."""
    return _has(VIEWER, action)


def operator(_principal: str, action: str, _type: str) -> bool:
    """Allow what a viewer may, and to steer: publish, cancel, pause, scale, replay, edit, see payloads and so on."""
    return _has(OPERATOR, action)


def administrator(_principal: str, action: str, _type: str) -> bool:
    """Allow everything there is, also to purge dead letters, to consume and to take the folder over."""
    return _has(ADMINISTRATOR, action)


def roles(by_principal: Mapping[str, Authorize], default: Authorize | None = None) -> Authorize:
    """Return an `authorize` that asks, for each principal, the function that the mapping has for it.

    Args:
        by_principal: for example `{"ann": administrator, "bob": viewer}`; read again at each question.
        default: asked for all other principals; None refuses them.
    """

    def authorize(principal: str, action: str, type: str) -> bool:
        role = by_principal.get(principal, default)
        return role is not None and role(principal, action, type)

    return authorize


def _has(preset: str, action: str) -> bool:
    known = ACTIONS.get(action)
    return known is not None and PRESETS.index(known.least) <= PRESETS.index(preset)
