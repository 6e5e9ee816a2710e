"""The deterministic simulation: the real actors on a seeded executor, a virtual clock and a disk in memory.

- `simulated_system` is the entrance, also for users' own tests; `published` tells them what was published.
- `simulated_executor` chooses whose turn it is (`turns` has one actor with its turns), `simulated_clock` is the time,
  `simulated_loop` runs coroutines, and `redelivery` says which messages may arrive twice.
- Other processes: `simulated_process` is one, `simulated_client`, `simulated_member` and `simulated_deputy` what it may be,
  `simulated_link` its connection, `simulated_welcome` its first owner; `simulated_sessions` is the owner's end of all, and
  `simulated_server` shows it to an engine.

Not here: scenarios of random work, faults and power cuts (`scenarios`), and what must hold (`oracle`).
"""
