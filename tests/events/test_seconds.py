"""The validator of seconds, and that every argument for a length of time uses it."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure.actors.core.clock import ManualClock
from perdure.events.seconds import SECONDS_MAX, checked_seconds, seconds_or_none, shown, wait_seconds, whole_us
from perdure.store import MemoryStore

NONE_AT_ALL = [
    math.nan,
    math.inf,
    -math.inf,
    -1,
    -0.001,
    True,
    "5",
    b"5",
    [],
    1e300,
    10**400,
    1j,
    dt.timedelta(-1),
    dt.timedelta.max,
]


@attrs.frozen
class Job:
    n: int


@pytest.mark.parametrize("value", NONE_AT_ALL, ids=lambda value: f"{shown(value):.20}")
def test_what_is_no_length_of_time_is_refused_by_name(value: Any) -> None:
    for check in (checked_seconds, seconds_or_none, wait_seconds):
        with pytest.raises(perdure.InvalidMessage, match=r"^ttl: seconds "):
            check("ttl", value)


@given(st.floats(0.0, SECONDS_MAX) | st.integers(0, int(SECONDS_MAX)) | st.timedeltas(dt.timedelta(0), dt.timedelta(36_500)))
def test_a_length_of_time_arrives(value: Any) -> None:
    seconds = checked_seconds("ttl", value)
    assert seconds == (value.total_seconds() if isinstance(value, dt.timedelta) else value)
    assert type(seconds) is float
    assert (whole_us(seconds) == 0) == (seconds == 0.0)


def test_zero_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"^lease: seconds above 0 to a hundred years"):
        checked_seconds("lease", 0, above_zero=True)
    assert wait_seconds("timeout", None) == -1.0
    assert seconds_or_none("timeout", None) is None


class Unshowable(float):
    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError


def test_an_error_shows_what_cannot_be_shown() -> None:
    assert shown(Unshowable(1.0)) == "a Unshowable whose repr raised RuntimeError"
    assert shown(10**9999) == "a int whose repr raised ValueError"
    assert len(shown("x" * 9999)) == 200


@pytest.mark.parametrize("value", NONE_AT_ALL, ids=lambda value: f"{shown(value):.20}")
def test_every_door_refuses_what_is_no_length_of_time(value: Any) -> None:
    system = perdure.System(store=MemoryStore(), clock=ManualClock())
    with system:
        system.publish(Job(1))
        delivery = system.checkout(Job)
        assert delivery is not None
        calls: dict[str, Any] = {
            "delay": lambda: system.publish(Job(2), delay=value),
            "ttl": lambda: system.publish(Job(2), ttl=value),
            "dedup_window": lambda: system.publish(Job(2), key="k", dedup_window=value),
            "debounce": lambda: system.publish(Job(2), key="k", debounce=value),
            "keep_result": lambda: system.publish(Job(2), keep_result=value),
            "lease": lambda: system.checkout(Job, lease=value),
            "timeout": lambda: system.drain(timeout=value),
            "grace": lambda: system.stop(grace=value),
            "wait": lambda: system.batch_handler(Job, size=2, wait=value),
            "older_than": lambda: system.dead_letters.purge(value),
            "every_s": lambda: perdure.OutboxRelay(system, lambda: None, every_s=value),
        }
        with pytest.raises(perdure.InvalidMessage, match=r"^lease: "):
            delivery.extend(value)
        for field, call in calls.items():
            with pytest.raises(perdure.InvalidMessage, match=rf"^{field}: "):
                call()
        with pytest.raises(perdure.InvalidMessage, match=r"^timeout: "):
            system.result("x", timeout=value)
        with pytest.raises(perdure.InvalidMessage, match=r"^timeout: "):
            system.call(Job(3), timeout=value)
        for option in ("timeout", "lease", "dedup_window"):
            with pytest.raises(perdure.InvalidMessage, match=rf"^{option}: "):
                system.handler(Job, **{option: value})
        with pytest.raises(perdure.InvalidMessage, match=r"^delay: "):
            perdure.Retry(delay=value)
        delivery.ack()
        assert system.admin.metrics().published == 1
