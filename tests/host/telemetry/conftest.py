"""An SDK for each test, ended behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.host.telemetry.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.tracers.shutdown()
    watched.meters.shutdown()
