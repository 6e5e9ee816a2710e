"""Run a group's loads in turn, several times, each in a process of its own, and show progress.

They take turns, so that a slow moment of the machine does not fall on one load alone. Each runs between two runs of its floors,
because a disk changes from minute to minute.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import msgspec

from benchmarks.child import Outcome
from benchmarks.figure import Figure, Report, ratio_of
from benchmarks.groups import GROUPS, floors_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from benchmarks.effort import Effort
    from benchmarks.figure import Measure
    from benchmarks.load import Load, Prepared

__all__ = ["Session", "measure"]

ROOT = Path(__file__).resolve().parent.parent
RUN_S_MAX = 1_800.0
ERROR_CHARS_MAX = 300


class Failed(Exception):
    """A child process failed, with its last line of output."""


def measure(group: str, effort_name: str, effort: Effort, beside: Path, progress: Progress) -> Report:
    """Measure one group. Its data is in temporary folders under `beside`."""
    loads = GROUPS[group](effort)
    floors = floors_of(loads, effort)
    with tempfile.TemporaryDirectory(dir=beside, prefix="benchmark-") as root:
        session = Session(group, effort_name, Path(root))
        before = _processor_s()
        bar = progress.add_task(group, total=effort.rounds * len(loads))
        figures = {m.name: Figure(m, load.name, load.note) for load in (*floors, *loads) for m in load.measures}
        for _ in range(effort.rounds):
            for load in loads:
                progress.update(bar, description=f"{group}: {load.name}")
                own = floors_of([load], effort)
                runs = [session.run(each) for each in (*own, load, *own)]
                _keep(load, runs, own, figures)
                progress.advance(bar)
        progress.update(bar, description=group)
        others = _others_share(before, _processor_s())
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {_file_system(beside)}"
    return Report(
        group=group,
        effort=effort_name,
        rounds=effort.rounds,
        on=f"{machine}; others took {others:.0%} of the cores",
        floors=[figures[m.name] for load in floors for m in load.measures],
        figures=[figures[m.name] for load in loads for m in load.measures],
    )


def _keep(load: Load, runs: list[Outcome], own: list[Load], figures: dict[str, Figure]) -> None:
    """Add one run's values, each with its ratio to the mean of its floor just before and after."""
    around: dict[str, list[float]] = {}
    for floor, outcome in zip((*own, *own), (*runs[: len(own)], *runs[len(own) + 1 :]), strict=True):
        for measure, value in _entered(floor, outcome, figures):
            around.setdefault(measure.name, []).append(value)
    for measure, value in _entered(load, runs[len(own)], figures):
        if measure.floor in around:
            figures[measure.name].ratios.append(ratio_of(measure, value, statistics.fmean(around[measure.floor])))


def _entered(load: Load, outcome: Outcome, figures: dict[str, Figure]) -> list[tuple[Measure, float]]:
    """Add the values of a run, or the reason why it has none. Return the values."""
    if outcome.missing:
        for measure in load.measures:
            figures[measure.name] = attrs.evolve(figures[measure.name], missing=outcome.missing)
        return []
    for measure, value in zip(load.measures, outcome.values, strict=True):
        figures[measure.name].values.append(value)
    return [*zip(load.measures, outcome.values, strict=True)]


class Session:
    """Starts the child processes, and keeps the folders that several of them share."""

    def __init__(self, group: str, effort_name: str, root: Path) -> None:
        self.group = group
        self.effort_name = effort_name
        self.root = root
        self.made: dict[Prepared, Path] = {}

    def run(self, load: Load) -> Outcome:
        """Run a load once, in a folder of its own."""
        folder = self.root / "run"
        outcome = self.root / "outcome.json"
        try:
            if load.prepared is None:
                folder.mkdir()
            else:
                shutil.copytree(self._prepared(load.prepared), folder)
            os.sync()  # earlier writes must not slow this run
            _child("run", self.group, load.name, self.effort_name, str(folder), str(outcome))
            return msgspec.json.decode(outcome.read_bytes(), type=Outcome)
        except Failed as error:
            return Outcome(missing=f"failed: {error}")
        finally:
            outcome.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)

    def _prepared(self, prepared: Prepared) -> Path:
        folder = self.made.get(prepared)
        if folder is None:
            folder = self.root / f"{prepared.kind}-{prepared.size}"
            _child("prepare", prepared.kind, str(prepared.size), str(folder))
            self.made[prepared] = folder
        return folder


def _child(*arguments: str) -> None:
    """Run a child process. End it and all that it started in any case.

    Raises:
        Failed: it failed, or did not end in time.
    """
    command = [sys.executable, "-m", "benchmarks.child", *arguments]
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, output = child.communicate(timeout=RUN_S_MAX)
    except subprocess.TimeoutExpired:
        msg = f"not done within {RUN_S_MAX:g} s"
        raise Failed(msg) from None
    finally:
        _end_group(child)
    if child.returncode:
        lines = output.decode(errors="replace").strip().splitlines() or [f"status {child.returncode}"]
        raise Failed(lines[-1][:ERROR_CHARS_MAX])


def _end_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _processor_s() -> tuple[float, float, float]:
    """Return the processors' time so far: the whole, the used part, and the part that this process and its ended children used."""
    user, nice, system, idle, iowait, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    )
    tick = os.sysconf("SC_CLK_TCK")
    busy = user + nice + system + irq + softirq + steal
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return (busy + idle + iowait) / tick, busy / tick, sum(usage.ru_utime + usage.ru_stime for usage in used)


def _others_share(before: tuple[float, float, float], after: tuple[float, float, float]) -> float:
    """Return the share of the processors' time between two readings that other processes used."""
    everything, used, ours = (b - a for a, b in zip(before, after, strict=True))
    return max(0.0, used - ours) / everything if everything else 0.0


def _file_system(folder: Path) -> str:
    """Return the kind of the file system of a folder."""
    kinds: dict[str, str] = {}
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mounted_at, kind, *_ = line.split()
        kinds[mounted_at] = kind
    resolved = folder.resolve()
    return next((kinds[str(path)] for path in (resolved, *resolved.parents) if str(path) in kinds), "unknown file system")
