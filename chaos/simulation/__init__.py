"""The deterministic simulation: the real actors on a seeded executor, a virtual clock and a disk in memory.

`simulated_system` is the entrance, also for users' own tests. `simulated_executor` chooses whose turn it is, `simulated_clock`
is the time, `simulated_loop` runs coroutines, and `redelivery` says which messages may arrive twice.

Not here: scenarios of random work, faults and power cuts (`scenarios`), and what must hold (`oracle`).
"""
