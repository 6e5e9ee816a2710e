"""The reference model refuses the refusal of a result whose lease is in force, unless that number was given out twice."""

from __future__ import annotations

import pytest

from perdure.chaos.oracle.reference_model import BrokenContract, ReferenceModel
from perdure.events import vocabulary as ev


def refuse(*, leased_again: bool) -> None:
    model = ReferenceModel()
    model.leased_again = lambda _ident, _attempt: leased_again
    model.take(1, ev.Published(1, "order", "shop.Order", b""))
    model.take(2, ev.Leased(1, 1))
    model.take(3, ev.LateResultRefused(1, "order", 1, "failed", "ValueError"))


def test_a_result_of_the_lease_in_force_counts() -> None:
    with pytest.raises(BrokenContract, match="though the lease was in force"):
        refuse(leased_again=False)


def test_a_result_of_a_lease_that_was_lost_with_its_frame_does_not() -> None:
    refuse(leased_again=True)
