"""A host that makes a message class for each request: what is kept for its classes has a bound."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import attrs
import pytest

import perdure
from perdure.payloads import class_memory


def one_more_class(name: str = "request.Made") -> Any:
    @perdure.message(name=name)
    @attrs.frozen
    class Made:
        number: int

    return Made


def another_class(name: str) -> Any:
    @perdure.message(name=name)
    @attrs.frozen
    class Other:
        number: int

    return Other


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


def test_classes_with_names_of_their_own_are_forgotten_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_memory, "CLASSES_MAX", 10)
    made: list[weakref.ref[type]] = []

    def use_one(number: int) -> None:
        cls = one_more_class(f"request.Made{number}")
        made.append(weakref.ref(cls))
        system.publish(cls(number))
        delivery = system.checkout(cls)
        assert delivery is not None
        assert delivery.message == cls(number)
        delivery.ack()

    with perdure.System(store=perdure.MemoryStore()) as system:
        for number in range(50):
            use_one(number)
        gc.collect()
        assert sum(one() is not None for one in made) <= 20
        assert len(system.drafts.names.known()) <= 20
        assert len(system._checked_out_types) <= 10


def test_a_class_with_a_handler_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_memory, "CLASSES_MAX", 10)
    handled: Any = one_more_class()
    perdure.message(name="request.Kept", version=2, upcasters={1: lambda plain: plain})(handled)
    got: list[Any] = []
    system = perdure.System(store=perdure.MemoryStore())
    system.handler(handled)(got.append)
    with system:
        for number in range(50):
            cls = one_more_class(f"request.Made{number}")
            system.cancel(system.publish(cls(number)))
        system.publish(handled(7))
        other = another_class("request.Kept")
        with pytest.raises(perdure.UnknownMessageType, match="belongs to"):
            system.publish(other(1))
        assert system.drafts.names.versions == {"request.Kept": 2}
        system.drain(30.0)
        assert got == [handled(7)]
        assert system.drafts.names.find("request.Kept") is handled


def test_versions_of_classes_that_are_forgotten_are_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_memory, "CLASSES_MAX", 10)
    with perdure.System(store=perdure.MemoryStore()) as system:
        for number in range(50):
            newer: Any = one_more_class()
            perdure.message(name=f"request.Made{number}", version=2, upcasters={1: lambda fields: fields})(newer)
            system.publish(newer(number))
        assert 1 <= len(system.drafts.names.versions) <= 20


def test_a_draft_has_its_version_although_another_thread_fills_the_memory_while_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was put on record as version 1: upcasters were run over a payload of version 2."""
    monkeypatch.setattr(class_memory, "CLASSES_MAX", 10)
    newer: Any = one_more_class()
    perdure.message(name="request.Newer", version=2, upcasters={1: lambda fields: fields})(newer)
    with perdure.System(store=perdure.MemoryStore()) as system:
        names = system.drafts.names
        name = names.name

        def name_and_be_overtaken(cls: type, *more: Any) -> str:
            found = name(cls, *more)
            for number in range(12):
                name(one_more_class(f"request.Made{number}"))
            return found

        monkeypatch.setattr(names, "name", name_and_be_overtaken)
        ident = system.publish(newer(1))
        published: Any = next(record.event for record in system.audit.events(message_id=ident, type="Published"))
        assert published.extras is not None
        assert published.extras.version == 2


def test_classes_of_results_are_forgotten_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_memory, "CLASSES_MAX", 10)
    system = perdure.System(store=perdure.MemoryStore())
    made: list[weakref.ref[type]] = []
    ask = one_more_class("request.Ask")

    @system.handler(ask)
    def answer(message: Any) -> Any:
        cls = one_more_class(f"request.Answer{message.number}")
        made.append(weakref.ref(cls))
        return cls(message.number)

    with system:
        for number in range(50):
            assert system.call(ask(number), timeout=30.0).number == number
        gc.collect()
        assert sum(one() is not None for one in made) <= 21
        assert system.drafts.names.known() == ["request.Ask"]
