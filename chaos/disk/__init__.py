"""Disks that fail, and the contract that a store must keep on them.

`memory_disk` is a model of a disk that forgets what was not synced, and `memory_files` are its files. `crash_states` visits
every state that a power cut could leave. `kernel_power_cuts` cuts real file systems, which `mounts` makes. `damage` edits
files. `workload` is what a store does meanwhile, and `store_contract` checks what it finds afterwards.

Not here: kills and failing system calls of a real process (`processes`), and whole systems (`scenarios`).
"""
