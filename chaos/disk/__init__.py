"""Disks that fail: in memory with power cuts, in image files with real ones, and damage done to files.

`memory_disk` is a model; `crash_states` visits every state that a cut could leave; `power_cuts` and `mounts` use real file
systems; `damage` edits files.
"""
