"""How perdure is broken, on purpose: a disk that forgets, power cuts, a simulated world, a killer of actors.

Shipped, because users may turn all of it on their own handlers. Nothing imports this room; it may import all others.
"""

from perdure.chaos.crash import CrashCheck, PowerCuts
from perdure.chaos.memory_disk import Fault, MemoryDisk, PowerCut
from perdure.chaos.monkey import Monkey
from perdure.chaos.simulated import SimulatedSystem

__all__ = ["CrashCheck", "Fault", "MemoryDisk", "Monkey", "PowerCut", "PowerCuts", "SimulatedSystem"]
