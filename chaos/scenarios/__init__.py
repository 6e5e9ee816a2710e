"""Scenarios: random work and random faults on a simulated system, whose whole history is then checked.

- A `plan` is drawn from a seed. `scenario` carries it out, `campaign` runs many, `shrink` shortens one that fails.
- `steps` are all that can happen in one.
- `system_under_test` is what they act on, and cuts the power; `processes` are those that do not own the folder; `promotion`
  makes one of them the owner.
- `messages` and `handlers` are the work, `outbox_database` is the host's database.
- `simulated_bounds` lowers bounds so that they are reached; `held_interrupts` holds SIGINT back meanwhile.

Not here: the simulated executor and its clock (`simulation`), what must hold (`oracle`), the disk (`disk`).
"""
