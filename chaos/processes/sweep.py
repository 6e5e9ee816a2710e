"""Sweeps over every point at which a process that works on a store can die or fail, with a check of what each leaves.

The ways to hit a point are in `syscalls` and `kill_lines`, the work is in `disk.workload`, the check in `disk.store_contract`.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.disk.store_contract import Lost, check_recovery
from perdure.chaos.disk.workload import StoreWork, contract_of, open_small, spread
from perdure.chaos.processes.forked_child import Ended, forked
from perdure.chaos.processes.kill_lines import Lines
from perdure.chaos.processes.syscalls import Injection, Strace
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.chaos.processes.forked_child import Report, Work
    from perdure.store import SegmentStore

__all__ = ["ERRORS", "Sweep"]

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
"""The errors of each call. `retval=0`: a write that wrote nothing and reported no error."""

RETRIED = "EINTR"
"""An error that is not reported, as the call is repeated: by CPython (PEP 475) or by the store."""


def _errors(ended: Ended) -> list[str]:
    return [line for line in ended.reports if line.startswith(("error", "warning"))]


def _injected(error: str) -> str:
    return error if "=" in error else f"error={error}"


@attrs.define
class Sweep:
    """Breaks a workload in children, one point at a time, each time in a new folder.

    `make` opens the store of the workload. A test can pass a store with a bug, to see that the check finds it.
    """

    folder: Path
    make: Callable[[Path], SegmentStore] = open_small
    frames: int = 16
    points: int = 0
    errors_reported: int = 0

    def kill_at_calls(self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None) -> None:
        """SIGKILL before the N-th system call of each kind, for every N or for at most `most` of them.

        Raises:
            Lost: the contract was broken; says where.
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
                    raise Lost(f"{injection} did not kill the child: {ended}")
                self._check(folder, ended, str(injection))
            progress(done + 1, len(chosen))

    def kill_at_lines(
        self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None, *, opcodes: bool = False
    ) -> None:
        """SIGKILL at the N-th executed line or bytecode of the store, for every N or for at most `most` of them.

        Raises:
            Lost: the contract was broken; says where.
        """
        lines = Lines(opcodes=opcodes)
        self._warm_up()
        with self._work() as (work, _):
            count = lines.count(work)
        for done, at in enumerate(chosen := spread(range(1, count + 1), most)):
            with self._work() as (work, folder):
                ended = lines.run(work, at)
                if not ended.killed:
                    raise Lost(f"step {at} did not kill the child: {ended}")
                self._check(folder, ended, f"step {at}")
            progress(done + 1, len(chosen))

    def fail_calls(
        self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None, *, onward: bool = False
    ) -> None:
        """Let the first call of each kind fail in each way, then the second, until the work ends before the failing call.

        Args:
            most: at most so many calls, spread over those of undisturbed work. Calls that only follow an error are then left out.
            progress: called with the points done and their number.
            onward: let all later calls of that kind fail too. The work then gives up with an error.

        Raises:
            Lost: the contract was broken, or an error was not reported; says where.
        """
        kinds = [(call, error) for call, several in ERRORS.items() for error in several]
        if onward:  # a call that is always interrupted is repeated for ever
            kinds = [(call, error) for call, error in kinds if error != RETRIED]
        if most:
            self._warm_up()
            with self._work() as (work, _):
                counted = Strace().count(work)
            points = [Injection(call, _injected(error), at, onward) for call, error in kinds for at in range(1, counted[call] + 1)]
            for done, i in enumerate(chosen := spread(range(len(points)), most)):
                self._fail(points[i])
                progress(done + 1, len(chosen))
            return
        for done, (call, error) in enumerate(kinds):
            at = 1
            while self._fail(Injection(call, _injected(error), at, onward)):
                at += 1
            progress(done + 1, len(kinds))

    def _fail(self, injection: Injection) -> bool:
        """Inject one failure. Return False if the work ended before that call."""
        with self._work() as (work, folder):
            ended, calls = Strace((injection.call,)).run(work, injection)
            hit = next((call for call in calls if "INJECTED" in call), None)
            if hit is None:
                return False
            crashed = any(line.startswith("crash") for line in ended.reports)
            if crashed and not (injection.onward and "StoreUnavailable" in ended.reports[-1]):
                raise Lost(f"{injection}: {ended.reports[-1]}")
            errors = _errors(ended)
            retried = RETRIED in injection.what
            if retried and errors:
                raise Lost(f"{injection}: this must not be reported: {errors}")
            if not retried and not errors:
                raise Lost(f"{injection}: {hit} was not reported")
            self.errors_reported += len(errors)
            self._check(folder, ended, str(injection))
            return True

    def limit_file_size(self, step_bytes: int = 1, progress: Callable[[int, int], None] = lambda _done, _of: None) -> None:
        """Limit the size of files to 0 bytes, then more, until the limit no longer matters: real short writes, then EFBIG.

        After each error the limit is lifted, as if room had been made.

        Raises:
            Lost: the contract was broken; says at which limit.
        """
        limit_bytes = 0
        while True:
            with self._work(limit_bytes) as (work, folder), forked(work) as child:
                child.go()
                ended = child.wait()
                if ended.status:
                    raise Lost(f"at most {limit_bytes} bytes a file: {ended.reports[-1:]}")
                errors = _errors(ended)
                self.errors_reported += len(errors)
                self._check(folder, ended, f"at most {limit_bytes} bytes a file")
            if not errors:
                return
            limit_bytes += step_bytes
            progress(limit_bytes, 0)

    @contextlib.contextmanager
    def _work(self, limit_bytes: int | None = None) -> Iterator[tuple[Work, Path]]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        data = folder / "data"

        def work(report: Report) -> None:
            lift: Callable[[], None] = lambda: None  # noqa: E731 - nothing to lift
            if limit_bytes is not None:
                _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, most))

                def lift() -> None:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

            StoreWork(data, report, self.frames, self.make, lift).run()

        try:
            yield work, data
        finally:
            shutil.rmtree(folder)

    def _warm_up(self) -> None:
        """Do the work once in this process, so that no child is the first to import or cache anything."""
        with self._work() as (work, folder):
            reports: list[str] = []
            work(reports.append)
            self._check(folder, Ended(reports, 0), "undisturbed")
        self.points -= 1

    def _check(self, folder: Path, ended: Ended, where: str) -> None:
        self.points += 1
        try:
            check_recovery(lambda: self.make(folder), contract_of(ended.reports))
        except (PerdureError, AssertionError, OSError, ValueError) as error:
            raise Lost(f"{where}: {error!r}; last reports: {ended.reports[-3:]}") from error
