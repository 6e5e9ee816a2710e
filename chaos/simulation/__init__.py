"""The deterministic simulation: the real actors on a seeded executor, a virtual clock and a disk in memory.

- `simulated_system` is the entrance, also for users' own tests; `published` asserts for them what was published.
- `simulated_executor` chooses which actor runs next (`turns` has one actor with its turns), `simulated_clock` is the time,
  `simulated_loop` runs coroutines, and `redelivery` says which messages may arrive twice.
- `processes`: other processes on the folder, and what connects them with its owner.

Not here: scenarios of random work, faults and power cuts (`scenarios`), and what must hold (`oracle`).
"""
