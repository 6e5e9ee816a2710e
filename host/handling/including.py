"""`Including`: the handlers and the parts that a System, or a Cluster, takes in.

Not here: what `Handlers` declare (`handlers`), and the start and stop of parts while they are served (`runtime/process/serving`).
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, TypeVar

from perdure.arguments.parts import check_has
from perdure.handling.decorators import Handling
from perdure.handling.handlers import Handlers

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.runtime.process.serving import Part

__all__ = ["Including"]

P = TypeVar("P", bound="Part | Handlers")


class Including(Handling):
    """The part of `System` that takes in handlers, and parts that `serve` starts and stops with it."""

    _parts: list[Callable[[], Part | None]]

    def include(self, part: P) -> P:
        """Take in handlers, or a part; return it.

        `Handlers`: all that they declare, now and later, is registered here. A part has `start()` and `stop()`; from now on `serve`
        starts and stops it with this system.

        Raises:
            InvalidMessage: a type has a handler already, or these handlers are included already.
            TypeError: it is neither.
        """
        if isinstance(part, Handlers):
            part.enter_into(self)
            return part
        check_has("part", part, "perdure.Handlers, or an object with start() and stop()", ("start", "stop"))
        served: Part = part
        self._parts.append(lambda: served)
        return part

    def include_weakly(self, part: Part) -> None:
        """As `include`, with a weak reference: a part that the host no longer holds is dropped. For `OutboxRelay`."""
        self._parts = [*(made for made in self._parts if made() is not None), weakref.ref(part)]

    @property
    def parts(self) -> list[Part]:
        """The parts of this system, in the order in which they were made."""
        found = [made() for made in list(self._parts)]
        return list(dict.fromkeys(part for part in found if part is not None))
