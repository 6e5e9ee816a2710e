"""Run examples/cluster/ on one machine, with a real database: three workers and a publisher, and one worker is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres_server import PATIENCE_S, shared_server

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.mark.long(seconds=15)
def test_every_order_is_packed_although_a_worker_is_killed() -> None:
    command = [sys.executable, str(FOLDER / "on_one_machine.py"), shared_server().dsn, "60"]
    environment = os.environ | {"ORDERS_LEASE": "3"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["published 60 orders", "one worker is killed; the others take over its partitions", "all 60 are packed"]
    assert len(lines) == 3 + 8
