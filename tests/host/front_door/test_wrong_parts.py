"""A system that is made of wrong parts is refused where it is made, and the error names the argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAKERS: dict[str, Callable[..., Any]] = {"System": perdure.System, "connect": lambda *a, **k: perdure.connect(*a, timeout=1.0, **k)}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("folder", "error"), [("", ValueError), ("a\0b", ValueError), (5, TypeError), (b"data", TypeError), (["x"], TypeError)]
)
def test_a_folder_is_a_path(make: str, folder: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^address: " if make == "connect" else r"^folder: "):
        MAKERS[make](folder)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("options", {}),
        ("options", perdure.Options),
        ("codec", 5),
        ("codec", perdure.MessagePack),
        ("clock", 5),
        ("clock", perdure.ManualClock),
        ("middleware", 5),
        ("middleware", [5]),
        ("middleware", [perdure.Middleware]),
        ("shared", "yes"),
    ],
)
def test_a_wrong_part_is_refused_by_its_name(tmp_path: Path, name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{name}: "):
        perdure.System(tmp_path, **{name: wrong})


def test_a_store_is_a_store() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match=r"^store: an EventStore, not 5: it has no open"):
        perdure.System(store=wrong)


def test_a_part_of_a_system_can_be_started_and_stopped(tmp_path: Path) -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match=r"^part: perdure.Handlers, or an object with start"):
        perdure.System(tmp_path).include(wrong)


def test_middleware_may_come_from_an_iterator(tmp_path: Path) -> None:
    class Refusing(perdure.Middleware):
        def publish(self, message: Any, options: Any, call_next: Any) -> str:
            raise KeyError(message)

    parts: Any = (Refusing() for _ in range(1))
    with perdure.System(tmp_path, middleware=parts) as system, pytest.raises(KeyError):
        system.publish(1)


@pytest.mark.parametrize("option", ["finished_max", "retries", "gc_threshold", "backlog_bytes", "segment_bytes"])
def test_a_number_that_nothing_could_hold_is_refused(option: str) -> None:
    wrong: Any = {option: 10**30}
    with pytest.raises(ValueError, match=rf"^{option} must be a whole number .* and <= [0-9,]*, not 1{'0' * 30}$"):
        perdure.Options(**wrong)


def test_retries_that_no_event_could_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"^retries: .*at most 9,007,199,254,740,992"):
        perdure.System(tmp_path).handler(int, retries=10**30)


def test_a_system_shows_its_folder(tmp_path: Path) -> None:
    assert f"SegmentStore('{tmp_path}')" in repr(perdure.System(tmp_path))


@pytest.mark.parametrize("address", ["postgresql://shop:s3cret@db/shop", "postgres://db", "host=db password=s3cret"])
def test_a_database_is_no_folder(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, perdure.StoreUnavailable)) as caught:
        perdure.System(address)
    assert "s3cret" not in str(caught.value)
    assert not list(tmp_path.iterdir())
