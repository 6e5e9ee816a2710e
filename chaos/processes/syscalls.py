"""SIGKILL at the N-th system call of each kind of a real process, or an error in its place, by strace.

strace attaches to a forked child that waits, so each run counts from the first call of its work. The work is in `disk.workload`;
what must hold afterwards is in `disk.store_contract`.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.processes.forked_child import Ended, forked

if TYPE_CHECKING:
    from perdure.chaos.processes.forked_child import Work

__all__ = ["CALLS", "Injection", "Strace", "why_no_strace"]

CALLS = (
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "mkdir",
    "sendto",
)
"""The calls that change or open files, and `sendto`, by which the child reports. Which of two similar calls the C library makes
depends on the machine; calls that are never made have no points."""

_CALL = re.compile(r"^(\w+)\(")


@attrs.frozen
class Injection:
    """What happens instead of the `at`-th call of a name, and of each later one if `onward`."""

    call: str
    what: str
    """In strace's syntax: `signal=KILL`, `error=EIO`, `retval=0`."""
    at: int
    onward: bool = False

    def __str__(self) -> str:
        """Return it in strace's syntax."""
        return f"{self.call}:{self.what}:when={self.at}{'+' if self.onward else ''}"


@attrs.frozen
class Strace:
    """Runs work in children under strace."""

    calls: tuple[str, ...] = CALLS

    def run(self, work: Work, injection: Injection | None = None) -> tuple[Ended, list[str]]:
        """Do the work in a child. Return how it ended, and its calls as strace printed them.

        Raises:
            OSError: strace could not attach.
            Stuck: the child did not end.
        """
        # The question mark: not every machine has every call.
        options = ["-e", "signal=none", "-e", f"trace={','.join('?' + call for call in self.calls)}"]
        if injection is not None:
            options += ["-e", f"inject={injection}"]
        with tempfile.NamedTemporaryFile(prefix="perdure-strace-") as log, forked(work) as child:
            command = ["strace", *options, "-o", log.name, "-p", str(child.pid)]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:  # noqa: S603 - fixed options
                try:
                    attached = strace.stderr.readline() if strace.stderr is not None else ""
                    if "attached" not in attached:
                        raise OSError(f"strace could not attach to a child: {attached.strip()}")
                    child.go()
                    ended = child.wait()
                    strace.wait(timeout=30)
                finally:
                    if strace.poll() is None:
                        strace.send_signal(signal.SIGTERM)
            return ended, Path(log.name).read_text(encoding="utf-8", errors="replace").splitlines()

    def count(self, work: Work) -> Counter[str]:
        """Return the number of calls of undisturbed work, by name.

        Raises:
            AssertionError: it failed.
        """
        ended, calls = self.run(work)
        if ended.status != 0:
            raise AssertionError(f"the work fails undisturbed: {ended}")
        return Counter(match[1] for line in calls if (match := _CALL.match(line)))


def why_no_strace() -> str:
    """Return why children cannot run under strace here; empty if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        ended, _ = Strace().run(lambda _: None)
    except OSError as error:
        return str(error)
    return "" if ended.status == 0 else f"a child under strace ended with {ended}"
