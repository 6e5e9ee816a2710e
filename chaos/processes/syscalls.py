"""The system calls of a real process: SIGKILL at the N-th of each kind, or an error in its place, by strace.

strace is attached to a forked child that waits, so each run counts from the first call of its work. What the child does is in
`workload`, and what must hold afterwards in `contract`.
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

__all__ = ["CALLS", "Injection", "Strace", "why_not"]

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
"""What changes a disk, what opens it, and (`sendto`) the child's word to its parent. Which of two kindred calls the C library makes
depends on the machine; those that it never makes have no points."""

_CALL = re.compile(r"^(\w+)\(")


@attrs.frozen
class Injection:
    """What happens instead of the `at`-th `call` (and each later one, if `onward`)."""

    call: str
    what: str
    """In strace's words: `signal=KILL`, `error=EIO`, `retval=0`."""
    at: int
    onward: bool = False

    def __str__(self) -> str:
        """Give it as strace wants it."""
        return f"{self.call}:{self.what}:when={self.at}{'+' if self.onward else ''}"


@attrs.frozen
class Strace:
    """Runs work in children under strace."""

    calls: tuple[str, ...] = CALLS

    def run(self, work: Work, injection: Injection | None = None) -> tuple[Ended, list[str]]:
        """Do the work in a child; gives how that ended, and its calls as strace wrote them."""
        # A question mark: not every machine has every call.
        options = ["-e", "signal=none", "-e", f"trace={','.join('?' + call for call in self.calls)}"]
        if injection is not None:
            options += ["-e", f"inject={injection}"]
        with tempfile.NamedTemporaryFile(prefix="perdure-strace-") as log, forked(work) as child:
            command = ["strace", *options, "-o", log.name, "-p", str(child.pid)]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:  # noqa: S603 - our own words
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
        """Count the calls of untouched work, by name.

        Raises:
            AssertionError: it failed all by itself.
        """
        ended, calls = self.run(work)
        if ended.status != 0:
            raise AssertionError(f"the work fails untouched: {ended}")
        return Counter(match[1] for line in calls if (match := _CALL.match(line)))


def why_not() -> str:
    """Say why children cannot be run under strace here; empty if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        ended, _ = Strace().run(lambda _: None)
    except OSError as error:
        return str(error)
    return "" if ended.status == 0 else f"a child under strace ended with {ended}"
