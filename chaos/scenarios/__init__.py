"""Scenarios: random work and random faults on a simulated system, whose whole history is then checked.

A `plan` is drawn from a seed; `actions` and `faults` are its steps; `system_under_test` is what they act on; `scenario` carries a
plan out; `campaign` runs many of them; `shrink` shortens one that fails. `messages` and `handlers` are the work, and
`outbox_database` is the host's database.

Not here: the simulated executor and its clock (`simulation`), what must hold (`oracle`), the disk (`disk`).
"""
