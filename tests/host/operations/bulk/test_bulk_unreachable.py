"""A bulk act on a whole queue of which a partition cannot be reached. Without a database: a cluster that answers by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from perdure.cluster.acts.at_once import ask_each
from perdure.cluster.acts.bulk import ActsEverywhere, CountedEverywhere
from perdure.events.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class HalfReachable:
    """A cluster of two partitions, of which the second cannot be reached."""

    count = 2

    def through(self, number: int, call: Callable[[Any], Any]) -> Any:
        if number == 1:
            raise StoreUnavailable("no database")
        act = SimpleNamespace(id="mend", is_over=True)
        return call(SimpleNamespace(dead_letters=SimpleNamespace(replay_where=lambda *_, **__: act, bulk=lambda _: act)))

    def each(self, calls: Mapping[int, Callable[[Any], Any]], *, is_act: bool = False) -> dict[int, Any]:
        return ask_each(calls, lambda number: self.through(number, calls[number]), is_act=is_act)

    def home_of(self, ident: str) -> int:
        raise NotImplementedError(ident)

    def address_of(self, number: int) -> str:
        raise NotImplementedError(number)


@pytest.mark.parametrize("letters", [0, 3])
def test_the_error_says_where_the_act_has_begun_also_where_nothing_was_to_be_acted_on(letters: int) -> None:
    counted: Any = {0: SimpleNamespace(count=2), 1: SimpleNamespace(count=letters)}
    with pytest.raises(StoreUnavailable, match="no database") as refused:
        ActsEverywhere(HalfReachable()).replay_where(CountedEverywhere("true", counted), id="mend")
    assert refused.value.__notes__ == ["in partition 1. These partitions have done it, or go on with it: 0"]
