"""The loads of perdure, a module for each group, and the floors beside them.

- `publish`, `trips`, `consume`: messages on their way. `many_processes`: several processes on a folder.
- `backlogs`: what much waiting costs. `storage`: the log alone. `cpu`: handlers that compute.
- `budget`: where the microseconds go. `floors`: what no queue can beat.

Not here: the loads of other queues (`peers`), and how loads are run (`rounds`).
"""
