"""`Options.switch_interval_s` applies while a system runs; the earlier interval is restored."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before_s)


def test_it_holds_while_the_system_runs(folder: Path) -> None:
    before_s = sys.getswitchinterval()
    with perdure.System(folder, options=perdure.Options(switch_interval_s=0.0005)):
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    assert sys.getswitchinterval() == before_s


def test_one_that_the_host_sets_meanwhile_stays(folder: Path) -> None:
    with perdure.System(folder, options=perdure.Options(switch_interval_s=0.0005)):
        sys.setswitchinterval(0.002)
    assert sys.getswitchinterval() == pytest.approx(0.002)


def test_it_is_left_alone_unless_asked(folder: Path) -> None:
    sys.setswitchinterval(0.003)
    with perdure.System(folder):
        assert sys.getswitchinterval() == pytest.approx(0.003)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf"), "0.1"])
def test_wrong_interval_is_refused(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="switch_interval_s"):
        perdure.Options(switch_interval_s=wrong)  # type: ignore[arg-type]  # wrong on purpose
