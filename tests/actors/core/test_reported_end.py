"""The end of an actor is reported, though another exception is thrown into its thread while it reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.core.actor import Actor

if TYPE_CHECKING:
    from collections.abc import Callable


class _Home:
    """A directory whose report is interrupted at first."""

    def __init__(self, interruption: type[BaseException]) -> None:
        self._left: list[type[BaseException]] = [interruption, interruption]
        self.reported: list[BaseException | None] = []

    @property
    def tell(self) -> Callable[[str, Any], None]:
        return lambda _name, _message: None

    def terminated(self, _actor: Actor, cause: BaseException | None) -> None:
        if self._left:
            raise self._left.pop()
        self.reported.append(cause)


class _Dies(Actor):
    def on_start(self) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("interruption", [SystemExit, KeyboardInterrupt, RuntimeError])
def test_an_interrupted_report_is_made_again(interruption: type[BaseException]) -> None:
    home = _Home(interruption)
    actor = _Dies(home, "supervisor", 1)
    actor.start_thread()
    assert actor.thread is not None
    actor.thread.join(10.0)
    assert [type(cause) for cause in home.reported] == [ZeroDivisionError]
