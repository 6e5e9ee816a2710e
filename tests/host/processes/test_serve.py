"""`perdure serve FOLDER`: an owner without handlers, which ends in good order."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import perdure
from tests.host.processes.shop import Order, Quote, shop
from tests.host.processes.test_faults import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_served_folder_is_owned_without_handlers_until_sigterm(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "perdure", "serve", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("is served, as owner\n")
        with perdure.connect(folder) as client, shop(str(folder)) as member:
            assert member.role == "member"
            waiting = client.publish(Order(1), delay=1000)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
            assert process.returncode == 0
            assert client.cancel(waiting)
            wait_until(lambda: member.role == "owner")
            assert client.call(Quote(2), timeout=20) == 4
        assert f"owns the folder {folder}" in log
        assert "is connected; 2 now" in log
    finally:
        process.kill()
        process.wait()
