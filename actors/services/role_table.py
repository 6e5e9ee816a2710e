"""`RoleTable`: how the actors of one run are built, by name. What an owner's run has is in `roles`, a member's in `members`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.actors.core.actor import Actor
    from perdure.actors.services.actor_record import ActorRecord
    from perdure.actors.workers.pools.pool import Pool
    from perdure.actors.workers.worker import Worker

    Role: TypeAlias = Callable[[int], Actor]
    """Builds an actor of this generation."""

__all__ = ["RoleTable"]


@attrs.frozen(kw_only=True)
class RoleTable:
    """The actors of one run but its supervisor, which starts them."""

    always: Mapping[str, Role]
    """The actors of every such run, in the order in which they are started."""
    on_demand: Mapping[str, Role]
    """The actors that only some runs need, started when something asks for them."""
    worker: Callable[[Pool, str, int], Worker]
    """Builds a worker of a handler's pool, with this name and generation."""
    record: Callable[[], ActorRecord]
    """Returns where a supervisor records what happens to them."""
