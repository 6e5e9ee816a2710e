"""Tools that break perdure on purpose, and check that it keeps its contract. Users can turn them on their own handlers.

For tests of handlers: `SimulatedSystem` (the real system in virtual time), `Monkey` (kills actors of a running system), and the
pytest fixtures in `pytest_plugin`. docs/TESTING.md shows all of them.

For perdure itself: `scenarios` of random work and faults on the `simulation`, judged by the `oracle`; `disk`, `processes` and
`threads` with further faults; `fencing`, a model of owners of a log in a database; `mutation` with planted bugs; `soak` for hours
of work; `cli` for `perdure chaos ...`.

Nothing imports this room; it may import all others. The names below load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.chaos.disk.crash_states import CrashCheck, PowerCuts
    from perdure.chaos.disk.memory_disk import Fault, MemoryDisk, PowerCut
    from perdure.chaos.simulation.simulated_executor import Stuck
    from perdure.chaos.simulation.simulated_system import SimulatedSystem
    from perdure.chaos.threads.monkey import Monkey

__all__ = ["CrashCheck", "Fault", "MemoryDisk", "Monkey", "PowerCut", "PowerCuts", "SimulatedSystem", "Stuck"]

_MODULES = {
    "CrashCheck": "disk.crash_states",
    "Fault": "disk.memory_disk",
    "MemoryDisk": "disk.memory_disk",
    "Monkey": "threads.monkey",
    "PowerCut": "disk.memory_disk",
    "PowerCuts": "disk.crash_states",
    "SimulatedSystem": "simulation.simulated_system",
    "Stuck": "simulation.simulated_executor",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    module = _MODULES.get(name)
    if module is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return value


def __dir__() -> list[str]:
    """Return the names of the module, those not loaded yet included."""
    return sorted({*globals(), *__all__})
