"""The deterministic simulation: the real actors on a seeded executor, a disk in memory, and scenarios of actions and faults.

`scenario` carries a `plan` out, `actions` and `faults` are its steps, `campaign` runs many, `shrink` shortens one that fails.
`simulated_system` is for users' own tests.

Not here: what must hold (`oracle`), and the disk (`disk`).
"""
