"""A process that ends, or becomes another program, with an open client or a shared System: it ends at once, with its own code.

A reloader does both. Threads of the host go on to publish meanwhile, and the owner may be stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import perdure
    from tests.programs import Program

    Start = Callable[[], Program]

PATIENCE_S = 60.0
LONG = pytest.mark.long(seconds=3)
CONNECTED = "client = perdure.connect(sys.argv[1], timeout=60)"
SPOOLING = "client = perdure.connect(sys.argv[1], timeout=60, spool=True)"
MEMBER = """
client = perdure.System(sys.argv[1], shared=True, options=perdure.Options(grace_s=1.0))
client.start()
"""
BUSY = """
import sys, threading, perdure
begun = threading.Semaphore(0)
def publish():
    while True:
        client.publish({"n": 1})
        begun.release()
"""
THREADS = """
for _ in range(4):
    threading.Thread(target=publish, daemon=True).start()
for _ in range(20):
    begun.acquire()
"""
AGAIN = 'import sys, perdure; perdure.connect(sys.argv[1], timeout=60).publish({"n": 1}); sys.exit(3)'


def ended(code: str, folder: Path) -> tuple[int, str]:
    """Run a program; return its code and its errors once it has ended."""
    command = [sys.executable, "-X", "faulthandler", "-c", code, str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # tells where each of its threads is
        pytest.fail(process.communicate()[1])
    return process.returncode, errors


@pytest.mark.parametrize("made", [CONNECTED, MEMBER, pytest.param(SPOOLING, marks=LONG)], ids=["client", "member", "spooling"])
def test_a_program_that_exits_while_its_threads_publish_has_its_own_code(owner: perdure.System, folder: Path, made: str) -> None:
    code, errors = ended(f"{BUSY}{made}\n{THREADS}\nsys.exit(3)", folder)
    assert code == 3, errors
    assert "Fatal" not in errors
    owner.publish({"n": 1})


@LONG
def test_a_program_that_becomes_another_one_connects_anew(owner: perdure.System, folder: Path) -> None:
    become = f"import os\nos.execv(sys.executable, [sys.executable, '-c', {AGAIN!r}, sys.argv[1]])"
    code, errors = ended(f"{BUSY}{CONNECTED}\n{THREADS}\n{become}", folder)
    assert code == 3, errors
    owner.publish({"n": 1})


@LONG
def test_an_owner_that_becomes_another_program_leaves_the_folder_to_it(folder: Path) -> None:
    again = 'import sys, perdure\nwith perdure.System(sys.argv[1], shared=True) as s: sys.exit(3 if s.role == "owner" else 4)'
    become = f"import os\nos.execv(sys.executable, [sys.executable, '-c', {again!r}, sys.argv[1]])"
    code, errors = ended(f"{BUSY}{MEMBER}\n{THREADS}\n{become}", folder)
    assert code == 3, errors


@LONG
@pytest.mark.parametrize("made", [CONNECTED, MEMBER], ids=["client", "member"])
def test_an_owner_that_is_stopped_holds_up_no_exit(start: Start, folder: Path, made: str) -> None:
    process = start()
    stop = f"import os, signal\nos.kill({process.pid}, signal.SIGSTOP)\nclient.submit({{'n': 2}})\nsys.exit(3)"
    code, errors = ended(f"{BUSY}{made}\n{THREADS}\n{stop}", folder)
    os.kill(process.pid, signal.SIGCONT)
    assert code == 3, errors
