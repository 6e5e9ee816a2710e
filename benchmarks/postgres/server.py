"""A PostgreSQL of its own for each run: on a Unix socket in the run's folder, with fsync and synchronous_commit on.

The folder of a fresh database is prepared once (`initdb`) and copied. What is measured on it is in the modules beside this one.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import Missing, Prepared
from benchmarks.peers.started import need, process

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FRESH", "initialise", "postgres"]

FRESH = Prepared("postgres", 0)
START_S = 60.0
DATA = "data"
USER = "perdure"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
}


def initialise(folder: Path, _size: int = 0) -> None:
    """Make the folder of a fresh database. Where its programs are missing the folder stays empty, and each run says so."""
    folder.mkdir()
    try:
        initdb = _program("initdb")
        become = _another_user(folder)
    except Missing:
        return
    options = ["-U", USER, "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"]
    subprocess.run([*become, initdb, "-D", str(folder / DATA), *options], check=True, capture_output=True, cwd=folder)


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a server on a copy of a fresh database. Yields its address.

    Raises:
        Missing: PostgreSQL, or its driver, is not installed, or it cannot be run here.
    """
    psycopg = need("psycopg", "psycopg[binary]")
    program, become = _program("postgres"), _another_user(folder)
    if not (folder / DATA).is_dir():
        initialise(folder / "made")
        (folder / "made" / DATA).rename(folder / DATA)
    options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    dsn = f"postgresql:///postgres?host={folder}&user={USER}"
    with process([*become, program, "-D", str(folder / DATA), "-k", str(folder), *options]) as server:
        until = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(dsn).close()
                break
            except psycopg.OperationalError as error:
                if server.poll() is not None or time.monotonic() > until:
                    msg = f"PostgreSQL does not start: status {server.poll()}, {error}"
                    raise Missing(msg) from error
                time.sleep(0.02)
        yield dsn
        server.send_signal(signal.SIGINT)  # "fast": it does not wait for connections that are left


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        msg = f"PostgreSQL's {name} is not installed: apt-get install postgresql"
        raise Missing(msg)
    return path


def _another_user(folder: Path) -> list[str]:
    """Give the folder to a user that is not root, as which alone PostgreSQL runs; return what to put before its commands."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        msg = "PostgreSQL does not run as root, and there is no setpriv to become another user"
        raise Missing(msg)
    other = pwd.getpwnam("nobody")
    folder.parent.chmod(0o711)  # the benchmark's own temporary folder, which that user must pass through
    for path in (folder, *folder.rglob("*")):
        os.chown(path, other.pw_uid, other.pw_gid)
    return ["setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]
