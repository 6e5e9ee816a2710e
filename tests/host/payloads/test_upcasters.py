"""A version of a message type is declared with a way up from each older one, or refused.

What upcasters do with payloads is in `test_stored_payloads`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.publishing.given_message import message_of

if TYPE_CHECKING:
    from pathlib import Path


class Order:
    """Any class."""


def step(plain: Any) -> Any:
    return plain


@pytest.mark.parametrize(
    ("version", "steps", "missing"),
    [(3, (1,), 2), (3, (2,), 1), (2, (), 1), (5, (1, 2, 4), 3), (3, (), 1)],
)
def test_a_version_without_a_way_up_is_refused_at_its_declaration(version: int, steps: tuple[int, ...], missing: int) -> None:
    with pytest.raises(perdure.InvalidMessage, match=f"'order' in version {version} has no way up from version {missing}"):
        perdure.message(name="order", version=version, upcasters=dict.fromkeys(steps, step))


@pytest.mark.parametrize(
    ("version", "upcasters"),
    [(0, {}), (1, {1: step}), (2, {1: step, 2: step}), (2, {0: step, 1: step}), (2, {"1": step}), (2.0, {1: step}), (10**9, {})],
)
def test_a_version_that_is_none_is_refused(version: Any, upcasters: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="version: a whole number"):
        perdure.message(name="order", version=version, upcasters=upcasters)


def test_an_upcaster_that_cannot_be_called_is_refused() -> None:
    upcasters: Any = {1: "step"}
    with pytest.raises(perdure.InvalidMessage, match="upcasters: a function from version 1"):
        perdure.message(name="order", version=2, upcasters=upcasters)


@pytest.mark.parametrize(("version", "steps"), [(1, ()), (2, (1,)), (4, (1, 2, 3))])
def test_upcasters_from_each_older_version_are_accepted(version: int, steps: tuple[int, ...]) -> None:
    assert perdure.message(name="order", version=version, upcasters=dict.fromkeys(steps, step))(Order) is Order


def test_an_edit_by_a_process_without_the_class_stays_of_the_version_that_was_published(tmp_path: Path) -> None:
    """A command gives the fields of the letter that it has shown: no upcaster may take them for older ones."""

    @perdure.message(name="shop.Priced", version=2, upcasters={1: lambda fields: {"cents": fields["euros"] * 100}})
    @attrs.frozen
    class Priced:
        cents: int

    with perdure.System(tmp_path / "orders") as system:

        @system.handler(Priced, retries=0)
        def fail(_priced: Priced) -> None:
            raise ValueError

        ident = system.publish(Priced(-5))
        while system.state(ident).status != "dead":
            time.sleep(0.01)
    with perdure.System(tmp_path / "orders") as command:
        command.dead_letters.replay(ident, message=message_of("shop.Priced", {"cents": 5}))
    got: list[int] = []
    with perdure.System(tmp_path / "orders") as system:

        @system.handler(Priced)
        def take(priced: Priced) -> None:
            got.append(priced.cents)

        system.drain(timeout=60.0)
    assert got == [5]
