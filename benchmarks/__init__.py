"""Benchmarks: what a durable message costs, beside floors and other queues measured in the same run on the same machine.

`python -m benchmarks` runs all groups, `python -m benchmarks GROUP` one. docs/PERFORMANCE.md explains the figures.

`loads/` has a module for each group of loads, and the floors; `peers/` has the loads of other queues; `postgres/` is the group of
loads on PostgreSQL, `telemetry/` that of what telemetry costs, `console/` that of the console's pages. `load`, `figure` and
`effort` are the data. `groups` lists the groups, `rounds` runs them in child processes (`child`) on prepared folders
(`folders`), and `report/` presents the results.
"""
