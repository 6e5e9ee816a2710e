"""How long a call of a cluster waits; without a database, as only the time is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.cluster.draining import Draining


class Looked:
    """Stands for a cluster: each look finds what the next of these says."""

    def __init__(self, *empty: bool) -> None:
        self.looks = list(empty)

    def _is_empty(self, _wait_s: float, _until_s: float) -> bool:
        return self.looks.pop(0)


def _drain(cluster: Any, timeout: float | None) -> None:
    Draining.drain(cluster, timeout)


def test_a_drain_without_a_timeout_waits_for_as_long_as_it_takes() -> None:
    cluster = Looked(False, False, True)
    _drain(cluster, None)
    assert not cluster.looks


def test_a_drain_that_times_out_says_after_how_long() -> None:
    with pytest.raises(TimeoutError, match=r"^after 0 s there are still publishes"):
        _drain(Looked(False), 0)
