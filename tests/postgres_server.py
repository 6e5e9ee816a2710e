"""A real PostgreSQL for the tests: a server for each process of the tests, on a Unix socket, with fsync on.

It is started at its first use, and stops at the end of the session. `Server` can kill and restart it. Tests that use it stand in
the xdist group `postgres`, so that one process starts one server. Not here: what is done with it.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 60.0
SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}
_numbers = count()


class Server:
    """A server whose data lies in a folder of its own; with `standby_of`, a hot standby of another one."""

    def __init__(self, standby_of: Server | None = None, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="perdure-pg-"))
        self._settings = SETTINGS | settings
        self._process: subprocess.Popen[bytes] | None = None
        self._become: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            other = pwd.getpwnam("nobody")
            os.chown(self.folder, other.pw_uid, other.pw_gid)
            self._become = ["setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]
        atexit.register(self.remove)
        data = str(self.folder / "data")
        if standby_of is None:
            options = ["-U", "perdure", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"]
            command = [*self._become, program("initdb"), "-D", data, *options]
        else:
            primary = f"host={standby_of.folder} user=perdure application_name=standby"
            self._settings["primary_conninfo"] = primary
            command = [*self._become, program("pg_basebackup"), "-D", data, "-d", primary, "-R", "--no-sync", "-c", "fast"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)
        self.start()

    @property
    def dsn(self) -> str:
        """How to connect to it."""
        return f"postgresql:///postgres?host={self.folder}&user=perdure"

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return once it answers."""
        import psycopg

        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [*self._become, program("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        answered = threading.Event()
        for _ in range(int(PATIENCE_S / 0.02)):
            assert self._process.poll() is None, self.log()
            try:
                psycopg.connect(self.dsn).close()
            except psycopg.OperationalError:
                answered.wait(0.02)
            else:
                return
        raise AssertionError(self.log())

    def kill(self) -> None:
        """Kill all of its processes at once, as a power cut would."""
        os.kill(self.pid, signal.SIGSTOP)  # it must not start others meanwhile, or tidy up
        _until(lambda: _state(self.pid) == "T")
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in [*children, str(self.pid)]:
            os.kill(int(pid), signal.SIGKILL)
        self._wait()
        _until(lambda: all(_state(int(pid)) in ("", "Z") for pid in children))  # beside one the next does not start

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT is "fast", SIGQUIT "immediate", which is a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(PATIENCE_S)
        self._process = None

    def pause_wal_writer(self) -> None:
        """Suspend the process that flushes what was committed asynchronously, so that a crash loses it for sure."""
        idle = "SELECT wait_event = 'WalWriterMain' FROM pg_stat_activity WHERE backend_type = 'walwriter'"
        until_s = time.monotonic() + PATIENCE_S
        while True:
            os.kill(self._wal_writer(), signal.SIGSTOP)
            if self.run(idle) == [(True,)]:
                return
            self.resume_wal_writer()  # it was at work, and would hold a lock that each commit waits for
            assert time.monotonic() < until_s
            time.sleep(0.01)

    def resume_wal_writer(self) -> None:
        """Let it go on."""
        os.kill(self._wal_writer(), signal.SIGCONT)

    def _wal_writer(self) -> int:
        [(pid,)] = self.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
        assert isinstance(pid, int)
        return pid

    def end_all_sessions(self) -> None:
        """End every connection but the one that asks for it."""
        others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement and return its rows."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "server.log").read_text(errors="replace")

    def remove(self) -> None:
        """Stop it and remove its folder."""
        if self._process is not None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def _state(pid: int) -> str:
    """Return the letter of a process's state, as in /proc; empty: there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.002)):
        if holds():
            return
        pause.wait(0.002)
    raise AssertionError("the condition did not come to hold")


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs; skip the test where it is missing."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        pytest.skip(f"PostgreSQL's {name} is not installed: apt-get install postgresql")
    return path


def check_installed() -> None:
    """Skip the test where something is missing that a server needs."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    program("initdb")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv to become another user")


@cache
def _shared() -> Server:
    return Server()


def shared_server() -> Server:
    """Return the server that the tests of this process share; skip the test where it cannot be had."""
    check_installed()
    return _shared()


def new_queue() -> str:
    """Return the name of a queue that no other test has."""
    return f"queue {os.getpid()} {next(_numbers)}"
