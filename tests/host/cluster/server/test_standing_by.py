"""A process that stands by for the owner of its partition ends when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import perdure
from tests.host.cluster.accounts import Order
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.mark.parametrize(
    ("how", "number", "status"),
    [("serve", signal.SIGTERM, 0), ("serve", signal.SIGINT, 0), ("start", signal.SIGINT, -signal.SIGINT)],
)
def test_a_process_that_stands_by_ends_by_a_signal(how: str, number: signal.Signals, status: int) -> None:
    name = new_queue()
    with perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name)) as owner:
        script = str(Path(__file__).with_name("stands_by.py"))
        command = [sys.executable, script, shared_server().dsn, name, how]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "begins\n"
                assert process.stdout.readline() == "waits\n"
                process.send_signal(number)
                out, said = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        assert process.returncode == status, said
        assert "owns" not in out
        owner.publish(Order("undisturbed"))
