"""A host that makes a message class for each request: what is kept for its classes has a bound."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import attrs

import perdure
from perdure.payloads import class_memory

if TYPE_CHECKING:
    import pytest


def one_more_class() -> Any:
    @perdure.message(name="request.Made")
    @attrs.frozen
    class Made:
        number: int

    return Made


def publish_one(system: perdure.System, number: int, made: list[weakref.ref[type]]) -> None:
    cls = one_more_class()
    made.append(weakref.ref(cls))
    system.publish(cls(number))


def test_classes_that_nothing_uses_any_more_are_forgotten_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_memory, "CLASSES_MAX", 10)
    made: list[weakref.ref[type]] = []
    with perdure.System(store=perdure.MemoryStore()) as system:
        for number in range(50):
            publish_one(system, number, made)
        gc.collect()
        assert sum(one() is not None for one in made) <= 20
        delivery = system.checkout("request.Made")
        assert delivery is not None
        assert delivery.message.number == 0
