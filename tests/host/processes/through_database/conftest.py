"""The database server of these tests, and a queue of its own for each."""

from __future__ import annotations

import pytest

from tests.postgres_server import Server, new_queue, shared_server


@pytest.fixture
def server() -> Server:
    return shared_server()


@pytest.fixture
def name() -> str:
    return new_queue()
