"""How perdure is broken, on purpose: a disk that forgets, power cuts, a simulated world, a killer of actors.

Shipped, because users may turn all of it on their own handlers. Nothing imports this room; it may import all others.
"""

from perdure.chaos.disk.crash_states import CrashCheck, PowerCuts
from perdure.chaos.disk.memory_disk import Fault, MemoryDisk, PowerCut
from perdure.chaos.simulation.simulated_system import SimulatedSystem
from perdure.chaos.threads.monkey import Monkey

__all__ = ["CrashCheck", "Fault", "MemoryDisk", "Monkey", "PowerCut", "PowerCuts", "SimulatedSystem"]
