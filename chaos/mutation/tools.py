"""Run one tool of this room until it notices a fault. This is how a planted bug is judged.

Planting is in `planted`; running one bug after another is in `mutants`. Each bug has a process of its own, so a tool is imported
only where it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.chaos.mutation.bug import SOURCE, is_test

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["run_tool"]


def run_tool(tool: str, effort: int, first: int = 0, favoured: Collection[str] = ()) -> str:
    """Return what a tool notices within `effort` scenarios or operations; empty if nothing.

    The simulation begins with the seed `first`, and draws favoured steps more often.

    Raises:
        ValueError: there is no such tool.
    """
    match tool:
        case "simulation":
            return _simulate(range(first, first + effort), favoured, clients=False)
        case "clients":
            return _simulate(range(first, first + effort), favoured, clients=True)
        case "roles":
            return _simulate(range(first, first + effort), favoured, clients=True, roles=True)
        case "spool":
            return _simulate(range(first, first + effort), favoured, clients=True, roles=True, spool=True)
        case "crash states":
            return _visit_crash_states(effort)
        case _ if is_test(tool):
            return _run_tests(tool)
    msg = f"no such tool: {tool}"
    raise ValueError(msg)


def _simulate(seeds: range, favoured: Collection[str], *, clients: bool, roles: bool = False, spool: bool | None = None) -> str:
    from perdure.chaos.scenarios.plan import draw  # noqa: PLC0415 - see the module's docstring
    from perdure.chaos.scenarios.shrink import failure_of  # noqa: PLC0415 - as above

    for seed in seeds:
        failure = failure_of(draw(seed, clients=clients, roles=roles, spool=spool, favoured=favoured))
        if failure is not None:
            return f"scenario {seed}: {failure.error}"
    return ""


class _FirstFailure:
    """A plugin of pytest that keeps the first report of a failure."""

    report: Any = None

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take a report; pytest calls this."""
        if report.failed and self.report is None:
            self.report = report


def _run_tests(path: str) -> str:
    import pytest  # noqa: PLC0415 - only these bugs need it, and a host may not have it

    first = _FirstFailure()
    options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--rootdir", str(SOURCE), "-c", str(SOURCE / "pyproject.toml")]
    status = pytest.main([*options, str(SOURCE / path)], plugins=[first])
    if first.report is None and status != pytest.ExitCode.OK:
        msg = f"the tests in {path} did not run: pytest ended with {status!r}"
        raise RuntimeError(msg)
    return "" if first.report is None else str(first.report.nodeid)


def _visit_crash_states(operations: int) -> str:
    from perdure.chaos.disk.crash_states import (  # noqa: PLC0415 - see the module's docstring
        CrashCheck,
        appends,
        appends_through_a_kill,
        appends_through_faults,
    )
    from perdure.chaos.disk.memory_disk import Fault  # noqa: PLC0415 - as above
    from perdure.chaos.disk.store_contract import Lost  # noqa: PLC0415 - as above

    checked: set[bytes] = set()
    for workload in (appends(8, each=3, size=1500), appends(12, each=2, size=900, snapshot_every=3)):
        try:
            CrashCheck(checked=checked).run(workload)
        except Lost as error:
            return str(error)
    for at in range(1, operations):
        for code in (5, 28):
            for only in ("", "sync"):
                try:
                    CrashCheck(nested=0.0, checked=checked).run(
                        appends_through_faults(9, Fault(at, code, part=10, times=1 + at % 2, only=only))
                    )
                except Lost as error:
                    return f"failing operation {at}: {error}"
        try:
            CrashCheck(nested=0.0, checked=checked).run(appends_through_a_kill(4, at))
        except Lost as error:
            return f"process killed at operation {at}: {error}"
    return ""
