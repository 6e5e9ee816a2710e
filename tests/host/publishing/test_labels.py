"""Keys, ids and other names arrive as plain text, whatever kind of string they are; what no log can hold is refused at once."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem

if TYPE_CHECKING:
    from collections.abc import Callable


class Customer(enum.StrEnum):
    """A string of the host's own kind, as frameworks have them too (`markupsafe.Markup`, `numpy.str_`)."""

    FIRST = "first"


class Shouting(str):
    """Its `str()` is another text."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return another text."""
        return self.upper()


@attrs.frozen
class Job:
    number: int


@pytest.mark.parametrize("text", [Customer.FIRST, Shouting("first")])
@pytest.mark.parametrize("field", ["key", "id", "correlation_id", "group", "subject"])
def test_a_string_of_any_kind_is_recorded_as_its_text(field: str, text: str) -> None:
    options: Any = {field: text}
    with SimulatedSystem() as system:
        system.publish(Job(1), **options)
        (published,) = (record.event for record in system.audit.events(type="Published"))
        assert type(getattr(published, field)) is str
        assert getattr(published, field) == "first"
        assert system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 0


def test_headers_and_policies_of_any_kind_of_string() -> None:
    with SimulatedSystem() as system:
        policy: Any = Shouting("append")
        system.publish(Job(1), key="k", dedup=policy, headers={Customer.FIRST: Shouting("value")})
        delivery = system.checkout(Job)
        assert delivery is not None
        assert delivery.headers == {"first": "value"}


@pytest.mark.parametrize("wrong", [None, False, 0.0, "", "1", True, 1001])
def test_a_priority_is_a_whole_number(wrong: Any) -> None:
    with SimulatedSystem() as system, pytest.raises(perdure.InvalidMessage, match=r"^priority: a whole number"):
        system.publish(Job(1), priority=wrong)


@pytest.mark.parametrize("name", ["\ud800", "", "x" * 513])
@pytest.mark.parametrize("call", ["pause", "resume", "scale", "checkout"])
def test_a_type_that_no_log_can_hold_is_refused_by_its_name(call: str, name: str) -> None:
    with SimulatedSystem() as system:
        calls: dict[str, Callable[[str], object]] = {
            "pause": system.admin.pause,
            "resume": system.admin.resume,
            "scale": lambda name: system.admin.scale(name, 1),
            "checkout": system.checkout,
        }
        with pytest.raises(perdure.InvalidMessage, match=r"^type: "):
            calls[call](name)


@pytest.mark.parametrize("name", ["\ud800", "", "x" * 201, 5])
def test_a_message_type_has_a_name_that_a_log_can_hold(name: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"^name: "):
        perdure.message(name=name)


def test_a_value_whose_repr_raises_is_refused_all_the_same() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    wrong: Any = Mute()
    with SimulatedSystem() as system:
        for field in ("key", "id", "group", "headers", "priority"):
            with pytest.raises(perdure.InvalidMessage, match=rf"^{field}: .*a Mute whose repr raised RuntimeError"):
                system.publish(Job(1), **{field: wrong})
