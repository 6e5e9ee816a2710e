"""Real processes that are killed or made to fail at each system call, or at each line of the store.

`forked_child` is the process, `syscalls` and `kill_lines` are the ways to hit it, and `sweep` visits every point.

Not here: the work that the process does and the check of what it leaves (`disk.workload`, `disk.store_contract`).
"""
