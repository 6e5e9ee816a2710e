"""Benchmarks: what a durable message costs, beside floors and other queues measured in the same run on the same machine.

`python -m benchmarks` runs all groups, `python -m benchmarks GROUP` one. docs/PERFORMANCE.md explains the figures.

Groups of loads: `publish`, `consume`, `trips`, `storage`, `footprint`, `growth`, `cliffs`, `spill`, `cpu`, `budget` and `peers/`.
`floors` are the limits beside them. `load` and `figure` are the data. `rounds`, `child` and `folders` run loads. `tables`,
`slopes`, `targets`, `plots`, `results` and `document` present the results.
"""
