"""Programs that tests start: each is a process of its own, and a fork of one that has imported perdure already.

A process that imports perdure afresh takes many times longer to start than one that is forked, and tests start hundreds. A fork
has a pid, files, folder, arguments, environment and `__main__` module of its own; it is killed, stopped and waited for as any other
process. A test of the interpreter's options or of the imports starts one with `subprocess`. What forks is in `forking_programs`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from tests import forking_programs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Program", "open_descriptors", "run"]

NUMBER = struct.Struct("i")
"""A pid, and then an exit status, as they come from the process that forks."""


def open_descriptors() -> list[str]:
    """Return the numbers of the files that this process has open."""
    return os.listdir("/proc/self/fd")  # noqa: PTH208 - names are all that is wanted


class _Forks:
    """The process that forks; it is started for the first program, and ends with this one. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._pid = 0

    def fork(self, job: dict[str, Any], files: list[int]) -> None:
        """Let it fork a program with these as its first files; the last one is told its pid, and its exit status in the end."""
        with self._lock:
            if self._socket is None or self._pid != os.getpid():
                ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                subprocess.Popen([sys.executable, forking_programs.__file__, str(its.fileno())], pass_fds=[its.fileno()])
                its.close()
                self._socket, self._pid = ours, os.getpid()
            socket.send_fds(self._socket, [json.dumps(job).encode()], files)


_forks = _Forks()


class Program:
    """A running program: what `subprocess.Popen` is, as far as tests use it.

    Args:
        words: after the interpreter's name: `-c CODE`, `-m MODULE` or a path, and arguments.
        stdin, stdout, stderr: `subprocess.PIPE`, `STDOUT`, `DEVNULL`, a file, or None for that of this process.
    """

    def __init__(
        self,
        words: list[str],
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.args = words
        self.returncode: int | None = None
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        self._lock = threading.Lock()
        with contextlib.ExitStack() as given:
            files = [self._file(given, number, what) for number, what in enumerate((stdin, stdout, stderr))]
            if stderr == subprocess.STDOUT:
                files[2] = files[1]
            self._status, told = os.pipe()
            given.callback(os.close, told)
            job = {"words": words, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env)}
            _forks.fork(job, [*files, told])
        self.pid = NUMBER.unpack(os.read(self._status, NUMBER.size))[0]

    def _file(self, given: contextlib.ExitStack, number: int, what: Any) -> int:
        """Return the descriptor that the program gets as its file `number`."""
        if what is None or what == subprocess.STDOUT:
            return number
        if what == subprocess.PIPE:
            reading, writing = os.pipe()
            its, ours = (reading, writing) if number == 0 else (writing, reading)
            given.callback(os.close, its)
            setattr(self, ("stdin", "stdout", "stderr")[number], open(ours, "w" if number == 0 else "r", encoding="utf-8"))  # noqa: PTH123, SIM115 - a descriptor, which the program closes
            return its
        if what == subprocess.DEVNULL:
            its = os.open(os.devnull, os.O_RDWR)
            given.callback(os.close, its)
            return its
        return what if isinstance(what, int) else int(what.fileno())

    def poll(self) -> int | None:
        """Return its exit status, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Return its exit status.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        with self._lock:
            if self.returncode is None:
                if not select.select([self._status], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                told = os.read(self._status, NUMBER.size)
                os.close(self._status)
                self.returncode = NUMBER.unpack(told)[0] if told else -signal.SIGKILL
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, text: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Close its input, wait for its end, and return what it has written since.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        with ThreadPoolExecutor(2) as pool:
            read = [pool.submit(file.read) if file is not None and not file.closed else None for file in (self.stdout, self.stderr)]
            if self.stdin is not None and not self.stdin.closed:
                with contextlib.suppress(BrokenPipeError):
                    self.stdin.write(text or "")
                    self.stdin.close()
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            out, err = (future.result() if future is not None else "" for future in read)
        self.close()
        return out, err

    def close(self) -> None:
        """Close our ends of its files."""
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                with contextlib.suppress(BrokenPipeError):
                    file.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its files, and wait for its end."""
        self.close()
        self.wait()


def run(
    words: list[str],
    *,
    text: str | None = None,
    timeout: float | None = None,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end. Return its exit status, output and errors."""
    pipe = subprocess.PIPE
    program = Program(words, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=env)
    out, err = program.communicate(text, timeout)
    return subprocess.CompletedProcess(words, program.wait(), out, err)
