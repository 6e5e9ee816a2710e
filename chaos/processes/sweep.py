"""Sweeps over every point at which a process that works on a store can die or fail, and the check of what it leaves.

How a point is reached is in `syscalls` and `lines`; the work is in `workload`, the check in `contract`.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.oracle.contract import Lost, hold
from perdure.chaos.processes.forked_child import Ended, forked
from perdure.chaos.processes.kill_lines import Lines
from perdure.chaos.processes.syscalls import Injection, Strace
from perdure.chaos.processes.workload import StoreWork, heard, open_small
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from perdure.chaos.processes.forked_child import Tell
    from perdure.store import SegmentStore

__all__ = ["ERRORS", "Sweep", "spread"]

ERRORS = {
    "openat": ("EIO", "ENOSPC", "EMFILE", "EINTR"),
    "write": ("EIO", "ENOSPC", "EINTR", "retval=0"),
    "pwrite64": ("EIO", "ENOSPC", "EINTR"),
    "fsync": ("EIO", "ENOSPC", "EINTR"),
    "fdatasync": ("EIO", "ENOSPC", "EINTR"),
    "rename": ("EIO", "ENOSPC"),
    "renameat": ("EIO", "ENOSPC"),
    "renameat2": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "unlinkat": ("EIO",),
    "ftruncate": ("EIO", "EINTR"),
}
"""What may come back from each call. `retval=0`: a write that wrote nothing, and gave no reason."""

PASSES_UNSEEN = "EINTR"
"""What nobody hears of, as the call is simply made again: by CPython (PEP 475), or by the store."""


def spread(points: Sequence[int], most: int) -> list[int]:
    """Give at most so many of the points, evenly spread, the last one included; 0: all."""
    if not most or len(points) <= most:
        return list(points)
    return [points[(k + 1) * len(points) // most - 1] for k in range(most)]


def _in_words(error: str) -> str:
    return error if "=" in error else f"error={error}"


@attrs.define
class Sweep:
    """Breaks a workload in children, one point at a time, in a new folder each time.

    `make` opens the store of the workload; a test gives one with a bug in it, to see that it is found.
    """

    folder: Path
    make: Callable[[Path], SegmentStore] = open_small
    frames: int = 16
    points: int = 0
    errors_told: int = 0

    def kill_at_calls(self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None) -> None:
        """SIGKILL before the N-th system call of each kind, for every N, or for at most so many.

        Raises:
            Lost: a promise was broken; says where.
        """
        strace = Strace()
        self._warm_up()
        with self._work() as (work, _):
            counted = strace.count(work)
        points = [(call, at) for call, count in sorted(counted.items()) for at in range(1, count + 1)]
        for done, i in enumerate(chosen := spread(range(len(points)), most)):
            injection = Injection(points[i][0], "signal=KILL", points[i][1])
            with self._work() as (work, folder):
                ended, _ = strace.run(work, injection)
                if not ended.killed:
                    raise Lost(f"{injection} did not kill it: {ended}")
                self._check(folder, ended, str(injection))
            progress(done + 1, len(chosen))

    def kill_at_lines(
        self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None, *, opcodes: bool = False
    ) -> None:
        """SIGKILL at the N-th executed line (or bytecode) of the store, for every N, or for at most so many.

        Raises:
            Lost: a promise was broken; says where.
        """
        lines = Lines(opcodes=opcodes)
        self._warm_up()
        with self._work() as (work, _):
            count = lines.count(work)
        for done, at in enumerate(chosen := spread(range(1, count + 1), most)):
            with self._work() as (work, folder):
                ended = lines.run(work, at)
                if not ended.killed:
                    raise Lost(f"step {at} did not kill it: {ended}")
                self._check(folder, ended, f"step {at}")
            progress(done + 1, len(chosen))

    def fail_calls(
        self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None, *, onward: bool = False
    ) -> None:
        """Let the first call of each kind fail in each way, then the second, until the work passes untouched.

        `most`: at most so many, spread over the calls of untouched work; those that only errors lead to are then left out.
        `onward`: let all later calls of that kind fail, too; the work then gives up, and says so.

        Raises:
            Lost: a promise was broken, or an error was told to nobody; says where.
        """
        kinds = [(call, error) for call, several in ERRORS.items() for error in several]
        if onward:  # whoever is interrupted for ever tries for ever
            kinds = [(call, error) for call, error in kinds if error != PASSES_UNSEEN]
        if most:
            self._warm_up()
            with self._work() as (work, _):
                counted = Strace().count(work)
            points = [Injection(call, _in_words(error), at, onward) for call, error in kinds for at in range(1, counted[call] + 1)]
            for done, i in enumerate(chosen := spread(range(len(points)), most)):
                self._fail(points[i])
                progress(done + 1, len(chosen))
            return
        for done, (call, error) in enumerate(kinds):
            at = 1
            while self._fail(Injection(call, _in_words(error), at, onward)):
                at += 1
            progress(done + 1, len(kinds))

    def _fail(self, injection: Injection) -> bool:
        """Inject one; False if the work was done before it was reached."""
        with self._work() as (work, folder):
            ended, calls = Strace((injection.call,)).run(work, injection)
            hit = next((call for call in calls if "INJECTED" in call), None)
            if hit is None:
                return False
            if any(line.startswith("crash") for line in ended.told) and not (
                injection.onward and "StoreUnavailable" in ended.told[-1]
            ):
                raise Lost(f"{injection}: {ended.told[-1]}")
            told = [line for line in ended.told if line.startswith(("error", "warning"))]
            unseen = PASSES_UNSEEN in injection.what
            if unseen and told:
                raise Lost(f"{injection}: it need not have been told: {told}")
            if not unseen and not told:
                raise Lost(f"{injection}: nobody was told of {hit}")
            self.errors_told += len(told)
            self._check(folder, ended, str(injection))
            return True

    def limit_file_size(self, step_bytes: int = 1, progress: Callable[[int, int], None] = lambda _done, _of: None) -> None:
        """Let no file grow beyond so many bytes, then more, until the work passes untouched: real short writes, then EFBIG.

        After each error the limit is lifted, as when somebody has made room.

        Raises:
            Lost: a promise was broken, or an error was told to nobody; says at which limit.
        """
        limit_bytes = 0
        while True:
            with self._work(limit_bytes) as (work, folder), forked(work) as child:
                child.go()
                ended = child.wait()
                if ended.status:
                    raise Lost(f"at most {limit_bytes} bytes a file: {ended.told[-1:]}")
                told = [line for line in ended.told if line.startswith(("error", "warning"))]
                self.errors_told += len(told)
                self._check(folder, ended, f"at most {limit_bytes} bytes a file")
            if not told:
                return
            limit_bytes += step_bytes
            progress(limit_bytes, 0)

    @contextlib.contextmanager
    def _work(self, limit_bytes: int | None = None) -> Iterator[tuple[Callable[[Tell], None], Path]]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        data = folder / "data"

        def work(tell: Tell) -> None:
            lift: Callable[[], None] = lambda: None  # noqa: E731 - nothing to lift
            if limit_bytes is not None:
                _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, most))

                def lift() -> None:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

            StoreWork(data, tell, self.frames, self.make, lift).run()

        try:
            yield work, data
        finally:
            shutil.rmtree(folder)

    def _warm_up(self) -> None:
        """Do the work once in this process, so that no child is the first to import or cache anything."""
        with self._work() as (work, folder):
            told: list[str] = []
            work(told.append)
            self._check(folder, Ended(told, 0), "untouched")
        self.points -= 1

    def _check(self, folder: Path, ended: Ended, where: str) -> None:
        self.points += 1
        try:
            hold(lambda: self.make(folder), heard(ended.told))
        except (PerdureError, AssertionError, OSError, ValueError) as error:
            raise Lost(f"{where}: {error!r}; it told {ended.told[-3:]}") from error
