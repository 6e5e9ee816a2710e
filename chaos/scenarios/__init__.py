"""Scenarios: random work and random faults on a simulated system, whose whole history is then checked.

- A `plan` is drawn from a seed. `scenario` carries it out, `campaign` runs many, `shrink` shortens one that fails.
- `steps` are all that can happen in one; what `members` in other processes do is beside them.
- `system_under_test` is what they act on, and cuts the power; `other_processes` are those that do not own the folder; `promotion`
  makes one of them the owner, and `holdings` judges what is taken back from any.
- `messages` and `handlers` are the work, `outbox_database` is the host's database.
- `simulated_bounds` lowers bounds so that they are reached; `held_interrupts` holds SIGINT back meanwhile.

Not here: the simulated executor and its clock (`simulation`), what must hold (`oracle`), the disk (`disk`).
"""
