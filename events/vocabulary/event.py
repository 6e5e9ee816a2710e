"""`Event`, the root of all events, and `event`, which makes a class one of them.

The events themselves are in the modules beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VOCABULARY", "Event", "event", "evolved", "fields_of"]

E = TypeVar("E")


class Event:
    """Root of all events. Each class has a wire tag, a version, and the one actor that decides it."""

    __slots__ = ()
    TAG: ClassVar[int]
    VERSION: ClassVar[int] = 1
    DECIDER: ClassVar[str]


VOCABULARY: dict[int, type[Event]] = {}
"""Every event class by its wire tag. A tag is never reused for another class."""


def fields_of(cls: Any) -> tuple[attrs.Attribute[Any], ...]:
    """Return the fields of an event's class, which type checkers do not know as a class of attrs."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(cls)
    return fields


def evolved(event: E, **changes: Any) -> E:
    """Return a copy of an event with other values in some fields."""
    copy: Any = event
    changed: E = attrs.evolve(copy, **changes)
    return changed


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def event(tag: int, decider: str, version: int = 1) -> Callable[[type[E]], type[E]]:
    """Return a decorator that makes an attrs class of an event and enters it in the vocabulary.

    Type checkers see the class frozen. At run time it is not: a frozen attrs instance takes three times as long to create, and
    several are created for every message.
    """

    def enter(cls: type[E]) -> type[E]:
        made: Any = attrs.define(cls, slots=True)
        made.TAG, made.DECIDER, made.VERSION = tag, decider, version
        if tag in VOCABULARY:
            msg = f"wire tag {tag} already belongs to {VOCABULARY[tag].__name__}"
            raise ValueError(msg)
        VOCABULARY[tag] = made
        entered: type[E] = made
        return entered

    return enter
