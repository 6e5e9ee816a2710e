"""Backoff: never negative, never above its cap, jitter only shortens, and the ten thousandth retry does not overflow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.events.handlers.backoff import Exponential, Fixed, Linear

shares = st.floats(0, 1, exclude_max=True)
seconds = st.floats(0, 1e6)


@given(seconds, st.floats(1, 10), st.floats(0, 1), shares, st.integers(1, 10_000))
def test_exponential(first: float, factor: float, jitter: float, rng: float, attempt: int) -> None:
    plain = Exponential(first, maximum=300.0, factor=factor)
    wait = plain.delay(attempt, 0.0)
    assert 0.0 <= wait <= 300.0
    assert wait <= plain.delay(attempt + 1, 0.0)
    jittered = Exponential(first, maximum=300.0, factor=factor, jitter=jitter).delay(attempt, rng)
    assert wait * (1 - jitter) * 0.999999 <= jittered <= wait


@given(seconds, seconds, st.integers(1, 10_000))
def test_linear(first: float, step: float, attempt: int) -> None:
    assert Linear(first, step, maximum=500.0).delay(attempt, 0.5) == min(first + step * (attempt - 1), 500.0)


@given(seconds, st.integers(1, 10_000), shares)
def test_fixed(wait: float, attempt: int, rng: float) -> None:
    assert Fixed(wait).delay(attempt, rng) == wait


@pytest.mark.parametrize("wrong", [-1.0, float("inf"), "5"])
def test_wrong_seconds_are_refused(wrong: float) -> None:
    for kind in (Fixed, Linear, Exponential):
        with pytest.raises((ValueError, TypeError)):
            kind(wrong)
