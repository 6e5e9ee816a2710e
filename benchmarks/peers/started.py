"""Servers and workers of peers, on loopback, on a free port and in a temporary folder; they are always stopped."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.load import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["BROKER", "need", "process", "redis_server", "server", "worker"]

BROKER = "BENCHMARK_BROKER"
"""The environment variable with the address of the broker, for workers."""
START_S = 30.0
STOP_S = 10.0


def need(module: str, package: str) -> Any:
    """Import a peer's library.

    Raises:
        Missing: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f'not installed ({error}): pip install "{package}"'
        raise Missing(msg) from error


@contextlib.contextmanager
def process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for the length of a `with` block."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def worker(module: str, *arguments: str, broker: str) -> Iterator[None]:
    """Run a Python module as a worker that finds its broker in the environment."""
    with process([sys.executable, "-m", module, *arguments], {BROKER: broker}):
        yield


@contextlib.contextmanager
def server(program: str, package: str, arguments: Sequence[str], port: int) -> Iterator[None]:
    """Run a server, and wait until it accepts connections.

    Raises:
        Missing: it is not installed, or does not start.
    """
    path = shutil.which(program)
    if path is None:
        msg = f"no {program} on the PATH: apt-get install {package}"
        raise Missing(msg)
    with process([path, *arguments]) as child:
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                break
            except OSError as error:
                if child.poll() is not None or time.monotonic() > until:
                    msg = f"{program} does not start: status {child.poll()}, {error}"
                    raise Missing(msg) from error
                time.sleep(0.02)
        yield


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Run Redis, synced at each write, without snapshots. Yields its port."""
    port = free_port()
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
    with server("redis-server", "redis-server", arguments, port):
        yield port
